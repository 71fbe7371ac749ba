// Pointwise convolutions that take in the batch norms around them: a block of rows is brought into
// the cache once, and everything that is to be done with it happens there. kernels/README.md has
// the plan.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pointwise_batch_norm.cc"
#include <hwy/foreach_target.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "kernels/batch_norm-inl.h"
#include "kernels/partials-inl.h"
#include "kernels/product-inl.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
namespace {

// How rows are cut into blocks: as many as a task holds in the cache, but fewer where there are
// few.
struct Blocks {
  explicit Blocks(const GemmShape& s) : all(s.m) {
    constexpr std::int64_t kWhole = std::lcm<std::int64_t>(kTileRows, kLanes);
    constexpr std::int64_t kFewest = 16;
    const std::int64_t fitting = kTaskValues / std::max(s.n, s.k) / kWhole * kWhole;
    const std::int64_t share = divide_up(divide_up(s.m, kFewest), kTileRows) * kTileRows;
    rows = std::min(std::max(fitting, kWhole), share);
  }

  std::int64_t count() const { return divide_up(all, rows); }
  Range block(std::int64_t index) const {
    return {index * rows, std::min((index + 1) * rows, all)};
  }

  std::int64_t all, rows;
};

std::int64_t length(Range r) { return r.end - r.begin; }

std::optional<Normaliser> normaliser(const BatchNorm<float>* layer, std::int64_t channels) {
  return layer ? std::optional<Normaliser>(std::in_place, *layer, channels) : std::nullopt;
}

// Rows of a sum over the batch that are taken by one thread, and most parts of the sum; below it
// the whole of both factors is written down, and the product shared out some other way.
constexpr std::int64_t kPartRows = 1024, kParts = 16;

struct Backward {
  float* dx;
  const float* x;
  const float* packed;  // wᵀ
  const float* residual;
  GemmShape shape;
  const Differentiator& differentiator;
  const std::optional<Normaliser>& before;
  std::optional<PartialParameterGradients>& sums;

  // What the block behind these rows will read.
  Upcoming upcoming(Range rows) const {
    const std::int64_t count = std::min(length(rows), shape.m - rows.end);
    Upcoming next(differentiator.dy() + rows.end * shape.n, count * shape.n);
    next.add(differentiator.z() + rows.end * shape.n, count * shape.n);
    next.add(x + rows.end * shape.k, count * shape.k);
    return next;
  }

  // One block: a = before(x) and dz where the caller wants them, and dx. Returns a: x itself where
  // nothing is before.
  const float* run(std::int64_t index, Range rows, float* a, float* dz, Upcoming& next) const {
    const GemmShape& s = shape;
    const std::int64_t count = length(rows), first = rows.begin * s.k;
    differentiator.run(dz, rows.begin, count);
    if (before) before->run(a, x + first, count);
    if (dx) {
      multiply_block({.a = dz,
                      .packed = packed,
                      .out = {.c = dx + first,
                              .c_stride = s.k,
                              .residual = residual ? residual + first : nullptr},
                      .shape = {count, s.k, s.n}},
                     {0, count}, {0, divide_up(s.k, kPanel)}, &next);
      if (sums) sums->take(index, dx + first, x + first, count);
    }
    return before ? a : x + first;
  }
};

// dw as the sum of kParts parts, each of which takes its blocks one after the other.
void sum_in_parts(float* dw, const Backward& b, const Blocks& blocks) {
  const GemmShape& s = b.shape;
  float* partials = scratch(Scratch::partials, kParts * s.k * s.n);
  parallel_for(kParts, [&](std::int64_t index) HWY_ATTR {
    float* mine = partials + index * s.k * s.n;
    float* a = b.before ? scratch(Scratch::activations, blocks.rows * s.k) : nullptr;
    float* dz = scratch(Scratch::gradients, blocks.rows * s.n);
    const Range own = part(blocks.count(), kParts, index);
    for (std::int64_t block = own.begin; block < own.end; ++block) {
      const Range rows = blocks.block(block);
      Upcoming next = b.upcoming(rows);
      const float* from = b.run(block, rows, a, dz, next);
      multiply_transposed(mine, from, dz, {s.k, s.n, length(rows)}, {0, length(rows)}, {0, s.k},
                          block > own.begin, &next);
    }
  });
  add_partials(dw, partials, kParts, s.k * s.n, false);
}

// dw from the whole of both factors.
void sum_at_once(float* dw, const Backward& b, const Blocks& blocks) {
  const GemmShape& s = b.shape;
  float* a = b.before ? scratch(Scratch::activations, s.m * s.k) : nullptr;
  float* dz = scratch(Scratch::gradients, s.m * s.n);
  parallel_for(blocks.count(), [&](std::int64_t index) HWY_ATTR {
    const Range rows = blocks.block(index);
    Upcoming next = b.upcoming(rows);
    b.run(index, rows, b.before ? a + rows.begin * s.k : nullptr, dz + rows.begin * s.n, next);
  });
  HWY_NAMESPACE::gemm_tn(dw, b.before ? a : b.x, dz, {s.k, s.n, s.m});
}

}  // namespace

void pointwise_batch_norm(float* z, float* mean, float* variance, const float* x,
                          const BatchNorm<float>* before, const float* w, GemmShape shape) {
  const GemmShape& s = shape;
  const Blocks blocks(s);
  float* packed = scratch(Scratch::packed, packed_gemm_size(s.k, s.n));
  HWY_NAMESPACE::pack_gemm(packed, w, s);
  const std::optional<Normaliser> normalise = normaliser(before, s.k);
  PartialMoments moments(s.n, mean ? blocks.count() : 0);
  parallel_for(blocks.count(), [&](std::int64_t index) HWY_ATTR {
    const Range rows = blocks.block(index);
    const std::int64_t count = length(rows);
    const float* a = x + rows.begin * s.k;
    if (normalise) {
      float* copy = scratch(Scratch::activations, count * s.k);
      normalise->run(copy, a, count);
      a = copy;
    }
    float* c = z + rows.begin * s.n;
    Upcoming next(x + rows.end * s.k, std::min(count, s.m - rows.end) * s.k);
    multiply_block(
        {.a = a, .packed = packed, .out = {.c = c, .c_stride = s.n}, .shape = {count, s.n, s.k}},
        {0, count}, {0, divide_up(s.n, kPanel)}, &next);
    if (mean) moments.take(index, c, count);
  });
  if (mean) moments.store(mean, variance);
}

void pointwise_batch_norm_backward(float* dx, float* dw, float* dgamma, float* dbeta,
                                   BatchNormGradient<float> gradient, const float* x,
                                   const BatchNorm<float>* before, const float* w,
                                   const float* residual, GemmShape shape) {
  const GemmShape& s = shape;
  const Blocks blocks(s);
  float* packed = scratch(Scratch::packed, packed_gemm_size(s.n, s.k));
  if (dx) pack_gemm_transposed(packed, w, {.n = s.k, .k = s.n});
  const Differentiator differentiator(gradient, s.m, s.n);
  const std::optional<Normaliser> normalise = normaliser(before, s.k);
  std::optional<PartialParameterGradients> sums;
  if (before && dx) sums.emplace(*before, s.k, blocks.count());
  const Backward b = {dx, x, packed, residual, s, differentiator, normalise, sums};
  if (s.m >= kParts * kPartRows)
    sum_in_parts(dw, b, blocks);
  else
    sum_at_once(dw, b, blocks);
  if (sums) sums->store(dgamma, dbeta);
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
