#include "vision/haar/haar_strip.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vision/haar/haar_strip.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "vision/haar/haar_integral-inl.h"
// The evaluator names types of the integral header.
#include "vision/haar/haar_evaluate-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::vision {
namespace HWY_NAMESPACE {

void SearchStrip(const HaarLevel& level, const HaarStrip& strip, int window_height,
                 HaarWorkspace& space, std::vector<HaarHit>& hits) {
  const HaarLayout& layout = *level.layout;
  const int last = strip.y + (strip.y_end - 1 - strip.y) / layout.step * layout.step;
  integrate(level, strip.y, last - strip.y + window_height, space);
  for (int y = strip.y; y < strip.y_end; y += layout.step) {
    const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(y - strip.y) * layout.stride;
    search_row(level, space.sums.get() + at, space.squares.get() + at, y, space.node_values.get(),
               hits);
  }
}

std::size_t Padding() { return 2 * hn::Lanes(I32()); }

}  // namespace HWY_NAMESPACE
}  // namespace maskwatch::vision
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskwatch::vision {

HWY_EXPORT(SearchStrip);
HWY_EXPORT(Padding);

std::size_t haar_padding() { return HWY_DYNAMIC_DISPATCH(Padding)(); }

void search_strip(const HaarLevel& level, const HaarStrip& strip, int window_height,
                  HaarWorkspace& workspace, std::vector<HaarHit>& hits) {
  HWY_DYNAMIC_DISPATCH(SearchStrip)(level, strip, window_height, workspace, hits);
}

HaarWorkspace::HaarWorkspace(int stride, int rows, int source_width, bool with_tilted,
                             int max_tree_nodes)
    : has_tilted(with_tilted) {
  const std::size_t margin = haar_padding();
  const std::size_t image = static_cast<std::size_t>(stride) * rows;
  const std::size_t row = static_cast<std::size_t>(stride) + 2 * margin;
  const auto zeros = [](std::size_t count) {
    auto memory = hwy::AllocateAligned<std::int32_t>(count);
    std::fill_n(memory.get(), count, 0);
    return memory;
  };
  sums = zeros((with_tilted ? 2 : 1) * image + margin);
  squares = zeros(image + margin);
  blended = zeros(static_cast<std::size_t>(source_width) + 1 + margin);
  for (auto& memory : pixels) memory = zeros(row);
  if (with_tilted) {
    for (auto& memory : tilted) memory = zeros(row);
  }
  node_values = hwy::AllocateAligned<float>(max_tree_nodes * margin);
}

}  // namespace maskwatch::vision
#endif
