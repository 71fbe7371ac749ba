// One text file for many pictures: for each a line with its name, one with the number of its faces,
// and a line a face, in one of two forms.
//   FDDB's ellipses: "major_radius minor_radius angle centre_x centre_y 1"
//     (Jain and Learned-Miller, "FDDB: A Benchmark for Face Detection in Unconstrained Settings",
//     2010)
//   WIDER FACE's boxes: "x y width height blur expression illumination invalid occlusion pose"; a
//     line of zeros where there is no face
//     (Yang et al., "WIDER FACE: A Face Detection Benchmark", 2016)
#pragma once

#include <string_view>
#include <vector>

#include "apps/training/boxes_format.h"

namespace maskwatch::apps {

// Boxes are the smallest around the ellipses; what is "invalid" is ignored. The first face says
// which form it is. FormatError for a text that breaks off or is of neither.
std::vector<WrittenPicture> parse_counted(std::string_view text);

// Whether the text begins as such a file does.
bool is_counted(std::string_view text);

}  // namespace maskwatch::apps
