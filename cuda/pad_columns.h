// Matrices with more columns than they were given.
#pragma once

#include "cuda/simt.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// to[rows, to_columns] = from[rows, columns], and zeros behind it.
void pad_columns(float* to, const float* from, int rows, int columns, int to_columns);

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
