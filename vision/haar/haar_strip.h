// One piece of the search for a cascade's windows: some rows of windows at one scale of the
// picture. A strip makes the scaled pixels and integral images of its own rows in a buffer that
// stays in cache, so strips are independent of one another and memory does not grow with the
// picture's height.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vision/haar/haar_plan.h"

namespace maskwatch::vision {

// Where the pixels of a scaled row (or column) come from: between source pixels `index` and `index
// + 1`, `fraction` / 256 of the way. Sampling and rounding as OpenCV's INTER_LINEAR_EXACT.
struct HaarResampling {
  std::vector<std::int32_t> index;
  std::vector<std::int32_t> fraction;
};

// A grey picture at one scale. Windows lie at multiples of layout->step.
struct HaarLevel {
  const std::uint8_t* pixels = nullptr;  // source picture, rows `source_width` apart
  int source_width = 0;
  int source_height = 0;
  HaarResampling columns;  // one entry a pixel of the scaled picture, and padding of zeros
  HaarResampling rows;
  int width = 0;  // of the scaled picture
  int height = 0;
  int windows_per_row = 0;
  const HaarLayout* layout = nullptr;
};

// The strip's window rows: y, y + step, … below y_end, in scaled pixels.
struct HaarStrip {
  int y = 0;
  int y_end = 0;
};

// A window that passed every stage, in scaled pixels.
struct HaarHit {
  int x = 0;
  int y = 0;
};

// Buffers of one thread, large enough for every strip of a search. Integral images have a row of
// zeros above and a column of zeros to the left of the strip's pixels.
struct HaarWorkspace {
  // `rows` of integral images, `stride` sums apart, in the layout of HaarLayout.
  HaarWorkspace(int stride, int rows, int source_width, bool tilted, int max_tree_nodes);

  hwy::AlignedFreeUniquePtr<std::int32_t[]> sums;  // upright, then tilted
  hwy::AlignedFreeUniquePtr<std::int32_t[]> squares;
  hwy::AlignedFreeUniquePtr<std::int32_t[]> blended;  // a source row between two rows
  hwy::AlignedFreeUniquePtr<std::int32_t[]>
      pixels[2];  // this scaled row and the one above, from column 1
  hwy::AlignedFreeUniquePtr<std::int32_t[]>
      tilted[3];  // last three rows of tilted sums, column by column
  hwy::AlignedFreeUniquePtr<float[]> node_values;
  bool has_tilted = false;
};

// Columns that vectors may read or write past a row's end.
std::size_t haar_padding();

// Appends the hits of the strip, row by row from left to right.
void search_strip(const HaarLevel& level, const HaarStrip& strip, int window_height,
                  HaarWorkspace& workspace, std::vector<HaarHit>& hits);

}  // namespace maskwatch::vision
