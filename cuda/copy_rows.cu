// Rows copied from one array into another, each with a stride of its own.
#include "cuda/table.h"
#include "cuda/vectors.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// A thread copies `width` numbers of a row.
template <int width>
__global__ void __launch_bounds__(kThreads)
    copy_rows_kernel(float* y, std::int64_t y_stride, const float* x, std::int64_t x_stride,
                     std::int64_t rows, std::int64_t row_vectors) {
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t row = thread / row_vectors, column = thread % row_vectors * width;
  if (row < rows)
    store<width>(y + row * y_stride + column, load<width>(x + row * x_stride + column));
}

}  // namespace

void copy_rows(float* y, std::int64_t y_stride, const float* x, std::int64_t x_stride,
               RowShape shape) {
  if (shape.rows == 0 || shape.channels == 0) return;
  const bool whole_vectors =
      aligned(y, x) && y_stride % 4 == 0 && x_stride % 4 == 0 && shape.channels % 4 == 0;
  const std::int64_t row_vectors = whole_vectors ? shape.channels / 4 : shape.channels;
  launch(whole_vectors ? copy_rows_kernel<4> : copy_rows_kernel<1>,
         dim3(static_cast<unsigned>(ceil_div(shape.rows * row_vectors, kThreads))), dim3(kThreads),
         0, y, y_stride, x, x_stride, shape.rows, row_vectors);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
