// YOLO's annotations: a text file a picture, a line a box, "class x y width height" with the class
// as a number and the box's centre and size as shares of the picture's sides. What the numbers mean
// stands in another file: classes.txt (a name a line) or data.yaml ("names:").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/training/boxes_format.h"

namespace maskwatch::apps {

// Classes beyond `names` are named by their numbers. A line of a polygon ("class x y x y x y ...")
// is the box around it. FormatError for a text with a line that does not begin with two numbers.
WrittenPicture parse_yolo(std::string_view text, const std::vector<std::string>& names);

// Whether every line, and there is one, is at least five numbers.
bool is_yolo(std::string_view text);

// The names that a classes.txt lists; empty lines at its end are left out.
std::vector<std::string> parse_class_list(std::string_view text);

// "names:" of a data.yaml: ['a', 'b'], {0: a, 1: b}, or lines "- a" or "0: a" below it. FormatError
// if it has none.
std::vector<std::string> parse_yaml_names(std::string_view text);

}  // namespace maskwatch::apps
