// Strips of NHWC pictures with their padding, for convolutions. Included once for each target.
#if defined(KERNELS_CONV_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef KERNELS_CONV_INL_H_
#undef KERNELS_CONV_INL_H_
#else
#define KERNELS_CONV_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "kernels/gemm-inl.h"
#include "kernels/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

struct Picture {
  const float* positions;  // [height, width, channels]
  std::int64_t height, width, channels;
};

// Rows without a border to think of.
struct Strip {
  const float* first;    // its first row's first position
  std::ptrdiff_t pitch;  // from one row to the next
};

// to = columns of one picture row, zeros where there are none.
inline void copy_row(float* to, const float* row, Range columns, const Picture& p) {
  const std::int64_t width = columns.end - columns.begin;
  const std::int64_t begin = std::clamp<std::int64_t>(-columns.begin, 0, width);
  const std::int64_t end = std::clamp(p.width - columns.begin, begin, width);
  std::fill(to, to + begin * p.channels, 0.0f);
  std::memcpy(to + begin * p.channels, row + (columns.begin + begin) * p.channels,
              static_cast<std::size_t>((end - begin) * p.channels) * sizeof(float));
  std::fill(to + end * p.channels, to + width * p.channels, 0.0f);
}

// These rows and columns of a picture, which may lie outside it: the picture itself if none does,
// else a copy between zeros in scratch memory.
inline Strip padded_strip(const Picture& p, Range rows, Range columns,
                          Scratch slot = Scratch::task) {
  const std::int64_t pitch = p.width * p.channels;
  if (rows.begin >= 0 && rows.end <= p.height && columns.begin >= 0 && columns.end <= p.width)
    return {p.positions + rows.begin * pitch + columns.begin * p.channels, pitch};
  const std::int64_t width = (columns.end - columns.begin) * p.channels;
  float* copy = scratch(slot, (rows.end - rows.begin) * width);
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    float* to = copy + (row - rows.begin) * width;
    if (row < 0 || row >= p.height)
      std::fill(to, to + width, 0.0f);
    else
      copy_row(to, p.positions + row * pitch, columns, p);
  }
  return {copy, width};
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
