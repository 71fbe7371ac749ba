#include "cuda/pad_columns.h"

#include "cuda/vectors.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    pad_columns_kernel(float* to, const float* from, int rows, int columns, int to_columns) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= std::int64_t{rows} * to_columns) return;
  const std::int64_t row = i / to_columns, column = i % to_columns;
  to[i] = column < columns ? from[row * columns + column] : 0.0f;
}

}  // namespace

void pad_columns(float* to, const float* from, int rows, int columns, int to_columns) {
  const std::int64_t count = std::int64_t{rows} * to_columns;
  launch(pad_columns_kernel, dim3(static_cast<unsigned>(ceil_div(count, kThreads))), dim3(kThreads),
         0, to, from, rows, columns, to_columns);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
