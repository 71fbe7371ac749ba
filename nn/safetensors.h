// The safetensors format: named tensors and string metadata; nothing in such a file can run code.
// Layout: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets},
// "__metadata__": {...}}, then the values, without holes.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "nn/tensor.h"

namespace maskwatch::nn {

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;
  bool rounded = false;  // some were I8 in the file
};

// i8: weights, which are called "...weight" and have two axes or more, as integers of -127 to 127
// with a scale for each index of the last axis; all else as f16.
enum class Precision { f32, f16, i8 };

// F32, F16 and BF16 values become float32, and I8 ones, by the scales in the F32 tensor
// "NAME_scale", which then is not a tensor of the contents. std::runtime_error names the file and
// its fault, and how to convert one of another program (nn/foreign_model.h); every size is checked
// against the file before memory is taken.
Safetensors load_safetensors(const std::string& path);
// The same from the bytes of a file; `name` stands for the path in messages.
Safetensors load_safetensors(std::span<const std::byte> bytes, const std::string& name);

// Atomic. With Precision::f16 and i8 values are rounded to the nearest half; std::invalid_argument
// if one is beyond its range.
void save_safetensors(const std::string& path, const Safetensors& contents,
                      Precision precision = Precision::f32);

}  // namespace maskwatch::nn
