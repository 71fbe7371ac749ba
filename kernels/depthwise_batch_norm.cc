// Depthwise 3×3 convolutions that take in the batch norms around them: a picture is walked down row
// by row, and the few rows that the taps need are made in the cache. kernels/README.md has the
// plan.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise_batch_norm.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <optional>

#include "kernels/batch_norm-inl.h"
#include "kernels/depthwise-inl.h"
#include "kernels/partials-inl.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// Pieces that a batch is cut into at least, where pictures have the rows for it.
constexpr std::int64_t kPieces = 16;
constexpr std::int64_t kPieceRows = 8;

std::int64_t pieces_of_picture(const ConvShape& s) {
  return std::clamp<std::int64_t>(s.out_height / kPieceRows, 1, divide_up(kPieces, s.batch));
}

// Rows whose numbers stay in the cache for another look.
std::int64_t strip_rows(std::int64_t row_numbers) {
  return std::max<std::int64_t>(1, kTaskValues / row_numbers);
}

// The newest rows of a picture, made one after the other: row y lies at y % capacity.
class RowRing {
 public:
  RowRing() = default;
  RowRing(Scratch slot, std::int64_t capacity, std::int64_t row_numbers)
      : rows_(scratch(slot, capacity * row_numbers)), capacity_(capacity), numbers_(row_numbers) {}

  const float* row(std::int64_t y) const { return rows_ + y % capacity_ * numbers_; }

  void begin_at(std::int64_t y) { next_ = y; }
  // make(to, y) for all rows up to `end` that are not there yet.
  template <typename Make>
  void make_up_to(std::int64_t end, const Make& make) {
    for (; next_ < end; ++next_) make(rows_ + next_ % capacity_ * numbers_, next_);
  }

 private:
  float* rows_ = nullptr;
  std::int64_t capacity_ = 0, numbers_ = 0, next_ = 0;
};

// Rows of x through the batch norm before, or as they are.
class InputRows {
 public:
  InputRows(const float* x, const std::optional<Normaliser>& before, const ConvShape& s)
      : x_(x), before_(before), shape_(s), numbers_(s.in_width * s.in_channels) {
    if (before) ring_ = RowRing(Scratch::activations, 2 * s.dilation + 1, numbers_);
  }

  // The next outputs are those of `picture` from row oy on.
  void begin_at(std::int64_t picture, std::int64_t oy) {
    picture_ = x_ + picture * shape_.in_height * numbers_;
    ring_.begin_at(std::max<std::int64_t>(0, oy * shape_.stride - shape_.pad_top));
  }

  RowTaps taps(std::int64_t oy) {
    const ConvShape& s = shape_;
    if (!before_) return row_taps(oy, s, [&](std::int64_t iy) { return picture_ + iy * numbers_; });
    ring_.make_up_to(
        std::min(s.in_height, oy * s.stride - s.pad_top + 2 * s.dilation + 1),
        [&](float* to, std::int64_t y) { before_->run(to, picture_ + y * numbers_, s.in_width); });
    return row_taps(oy, s, [&](std::int64_t iy) { return ring_.row(iy); });
  }

 private:
  const float* x_;
  const std::optional<Normaliser>& before_;
  const ConvShape& shape_;
  std::int64_t numbers_;
  const float* picture_ = nullptr;
  RowRing ring_;
};

struct Backward {
  float* dx;
  float* dw;  // of the task
  const float* x;
  const float* w;  // in reverse order where the stride is 1
  const Differentiator& differentiator;
  const std::optional<Normaliser>& before;
  std::optional<PartialParameterGradients>& sums;
  ConvShape shape;

  std::int64_t in_row() const { return shape.in_width * shape.in_channels; }
  std::int64_t out_row() const { return shape.out_width * shape.out_channels; }

  // Outputs that input row iy is reached from, as a range: some of them may have no tap on it.
  Range reached_from(std::int64_t iy) const {
    const std::int64_t last = iy + shape.pad_top, first = last - 2 * shape.dilation;
    return {std::clamp<std::int64_t>(divide_up(std::max<std::int64_t>(first, 0), shape.stride), 0,
                                     shape.out_height),
            std::clamp<std::int64_t>(last / shape.stride + 1, 0, shape.out_height)};
  }

  // dx of one row, from rows of dz.
  void input_row(std::int64_t picture, std::int64_t iy, const RowRing& dz) const {
    const ConvShape& s = shape;
    float* to = dx + (picture * s.in_height + iy) * in_row();
    const auto row = [&](std::int64_t oy) { return dz.row(oy); };
    if (s.stride == 1) {
      const ConvShape back = reversed(s);
      return depthwise_row(to, row_taps(iy, back, row), w, nullptr, Activation::none, back);
    }
    const Reach reach = reach_of(iy, s.out_height, s.pad_top, s);
    const float* from[3] = {};
    for (int i = 0; i < reach.count; ++i) from[i] = row(reach.outputs[i]);
    depthwise_input_row(to, from, reach, w, s);
  }

  // One piece of a picture: dw from these output rows and dx of these input rows, whose sums go to
  // parts `index`, …
  void run(std::int64_t picture, Range outputs, Range inputs, std::int64_t index) const {
    const ConvShape& s = shape;
    const Range first = reached_from(inputs.begin), last = reached_from(inputs.end - 1);
    const Range wanted = {std::min(outputs.begin, dx ? first.begin : outputs.begin),
                          std::max(outputs.end, dx ? last.end : outputs.end)};
    RowRing dz(Scratch::gradients, 2 * s.dilation + 1, out_row());
    dz.begin_at(wanted.begin);
    InputRows rows(x, before, s);
    rows.begin_at(picture, outputs.begin);
    const std::int64_t strip = strip_rows(in_row());
    std::int64_t iy = dx ? inputs.begin : inputs.end, seen = iy;
    for (std::int64_t oy = wanted.begin; oy < wanted.end; ++oy) {
      dz.make_up_to(oy + 1, [&](float* to, std::int64_t y) {
        differentiator.run(to, (picture * s.out_height + y) * s.out_width, s.out_width);
      });
      if (oy >= outputs.begin && oy < outputs.end)
        depthwise_weight_row(dw, dz.row(oy), rows.taps(oy), s);
      const bool all = oy + 1 == wanted.end;
      for (; iy < inputs.end && (all || reached_from(iy).end <= oy + 1); ++iy)
        input_row(picture, iy, dz);
      if (!sums || seen == iy || (!all && iy - seen < strip)) continue;
      const std::int64_t at = (picture * s.in_height + seen) * in_row();
      sums->take(index++, dx + at, x + at, (iy - seen) * s.in_width);
      seen = iy;
    }
  }
};

}  // namespace

void depthwise3x3_batch_norm(float* z, float* mean, float* variance, const float* x,
                             const BatchNorm<float>* before, const float* w, ConvShape shape) {
  const ConvShape& s = shape;
  const std::int64_t channels = s.out_channels, row = s.out_width * channels;
  const std::int64_t pieces = pieces_of_picture(s), strip = strip_rows(row);
  const std::int64_t strips = divide_up(divide_up(s.out_height, pieces), strip);
  std::optional<Normaliser> normalise;
  if (before) normalise.emplace(*before, channels);
  PartialMoments moments(channels, mean ? s.batch * pieces * strips : 0);
  const std::int64_t tasks = s.batch * pieces;
  parallel_for(tasks, [&](std::int64_t turn) HWY_ATTR {
    const std::int64_t task = tasks - 1 - turn;
    const std::int64_t picture = task / pieces;
    const Range rows = part(s.out_height, pieces, task % pieces);
    InputRows input(x, normalise, s);
    input.begin_at(picture, rows.begin);
    for (std::int64_t begin = rows.begin, index = task * strips; begin < rows.end;
         begin += strip, ++index) {
      const std::int64_t end = std::min(begin + strip, rows.end);
      float* to = z + (picture * s.out_height + begin) * row;
      for (std::int64_t oy = begin; oy < end; ++oy)
        depthwise_row(to + (oy - begin) * row, input.taps(oy), w, nullptr, Activation::none, s);
      if (mean) moments.take(index, to, (end - begin) * s.out_width);
    }
  });
  if (mean) moments.store(mean, variance);
}

void depthwise3x3_batch_norm_backward(float* dx, float* dw, float* dgamma, float* dbeta,
                                      BatchNormGradient<float> gradient, const float* x,
                                      const BatchNorm<float>* before, const float* w,
                                      ConvShape shape) {
  const ConvShape& s = shape;
  const std::int64_t channels = s.out_channels, size = 9 * channels;
  const std::int64_t pieces = pieces_of_picture(s), tasks = s.batch * pieces;
  const Differentiator differentiator(gradient, s.batch * s.out_height * s.out_width, channels);
  std::optional<Normaliser> normalise;
  if (before) normalise.emplace(*before, channels);
  // A strip's sums are taken with every row of outputs at most.
  const std::int64_t strips = divide_up(s.out_height, pieces) + 2 * s.dilation + 2;
  std::optional<PartialParameterGradients> sums;
  if (before && dx) sums.emplace(*before, channels, tasks * strips);
  const std::int64_t parts = std::min(kPieces, tasks);
  float* partials = scratch(Scratch::partials, (parts + 1) * size);
  float* reverse = partials + parts * size;
  if (s.stride == 1) reverse_taps(reverse, w, channels);
  parallel_for(parts, [&](std::int64_t turn) HWY_ATTR {
    const std::int64_t index = parts - 1 - turn;
    float* mine = partials + index * size;
    std::fill(mine, mine + size, 0.0f);
    const Backward b = {dx,        mine, x, s.stride == 1 ? reverse : w, differentiator,
                        normalise, sums, s};
    const Range own = part(tasks, parts, index);
    for (std::int64_t task = own.begin; task < own.end; ++task)
      b.run(task / pieces, part(s.out_height, pieces, task % pieces),
            part(s.in_height, pieces, task % pieces), task * strips);
  });
  add_partials(dw, partials, parts, size, false);
  if (sums) sums->store(dgamma, dbeta);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
