// The split of a data set into training and validation, at random or as its folders say, in whole
// groups of copies.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/common/dataset.h"

namespace maskwatch::apps {

// Indices into Dataset::images, ascending.
struct Split {
  std::vector<int> train;
  std::vector<int> validation;
};

// How many images of each class go to validation: ceil(validation * n) in all, in proportion to
// the classes by largest remainder, as scikit-learn's train_test_split(stratify=labels) does; then
// at least one image of each class on each side, where it has two.
std::vector<std::int64_t> validation_counts(const std::vector<std::int64_t>& class_counts,
                                            double validation);

// A stratified split at random, the same for the same seed, names and bytes. Copies of one file
// stand on one side, and the counts are then as near to validation_counts as whole groups allow;
// with `allow_leakage` copies count as different images. Throws std::invalid_argument unless
// 0 < validation < 1, and std::runtime_error that names a class that cannot stand on both sides.
Split split_dataset(const Dataset& dataset, double validation = 0.2, std::uint64_t seed = 42,
                    bool allow_leakage = false);

// Which part of a data set that is split by its folders it is validated on: validation, or test
// where there is none of that; none where it has only one to train on.
DatasetPart validation_part(const Dataset& dataset);

struct FolderSplit {
  Split split;
  std::int64_t copies = 0;  // images for training that are left out: validation holds a copy
};

// The split that the folders say, where there is a validation part. With `allow_leakage` copies are
// not left out. Throws std::runtime_error that names a class without images to train on.
FolderSplit split_by_folders(const Dataset& dataset, bool allow_leakage = false);

}  // namespace maskwatch::apps
