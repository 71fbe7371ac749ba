// A data set with boxes on the command line, and what the programs print of it: how many pictures
// and faces, and what was left out.
#pragma once

#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/training/boxes.h"

namespace maskwatch::apps {

// Adds --dataset, which is required, and --classes.
void add_box_options(OptionParser& parser, std::vector<std::string>& datasets,
                     std::vector<std::string>& classes);

// Prints what was left out, file by file and box by box, at most kMostNamed lines of a kind and the
// number of the rest; and what was changed.
inline constexpr std::size_t kMostNamed = 50;
void tell_of_boxes(const BoxDataset& data);

// "4662 pictures, 1240 without a face, 20 without boxes; faces: with_mask 3793, ...; 3 files
// skipped".
std::string summary_of(const BoxDataset& data);

}  // namespace maskwatch::apps
