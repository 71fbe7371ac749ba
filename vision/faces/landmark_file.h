// Reads dlib's file of a shape predictor into the trees of vision/faces/landmark_trees.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "vision/faces/landmark_trees.h"

namespace maskwatch::vision {

// Puts up to `count` bytes at `bytes` and says how many: fewer only at the end.
using ByteSource = std::function<std::size_t(char* bytes, std::size_t count)>;

// dlib's serialised shape_predictor of `size` bytes. std::runtime_error names the file.
LandmarkPredictor::Model read_landmark_trees(const ByteSource& source, std::uint64_t size,
                                             const std::string& name);

}  // namespace maskwatch::vision
