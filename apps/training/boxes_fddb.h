// FDDB's ellipses: one text file for many pictures. For each a line with its name, one with the
// number of its faces, and a line a face: "major_radius minor_radius angle centre_x centre_y 1".
// (Jain and Learned-Miller, "FDDB: A Benchmark for Face Detection in Unconstrained Settings", 2010)
#pragma once

#include <string_view>
#include <vector>

#include "apps/training/boxes_format.h"

namespace maskwatch::apps {

// Boxes are the smallest around the ellipses. FormatError for a text that breaks off or is of
// another form.
std::vector<WrittenPicture> parse_fddb(std::string_view text);

// Whether the text begins as such a file does.
bool is_fddb(std::string_view text);

}  // namespace maskwatch::apps
