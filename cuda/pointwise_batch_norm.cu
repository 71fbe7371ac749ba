// Pointwise convolutions that take in the batch norms around them: x is read through the layer
// before as its tiles are loaded, and what comes of columns (statistics, gradients of parameters)
// is gathered from each tile of the result.
#include "cuda/batch_norm_layer.h"
#include "cuda/moments.h"
#include "cuda/multiply.h"
#include "cuda/rows.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

struct Size {
  explicit Size(const GemmShape& s) : m(narrow(s.m)), n(narrow(s.n)), k(narrow(s.k)) {}
  int m, n, k;
};

// c = a · b, and numbers of each column that the epilogue make(partials) leaves of each tile; merge
// brings those of all tiles together.
template <int kArrays, typename A, typename B, typename Make, typename Merge>
void multiply_with_columns(const A& a, const B& b, const Size& size, const Make& make,
                           const Merge& merge) {
  if (size.n == 0) return;
  with_tall_tile(size.m, size.n, [&](auto tile) {
    using Tile = decltype(tile);
    const int tiles = ceil_div(size.m, Tile::kRows);
    float* sums = workspace(Workspace::column_sums, std::int64_t{tiles} * kArrays * size.n);
    launch_product<Tile>(a, b, make(ColumnPartials<kArrays>{sums, size.n}),
                         {size.m, size.n, size.k, whole_part(size.k)});
    merge(sums, tiles);
  });
}

template <typename A>
void forward(float* z, float* mean, float* variance, const A& a, const float* w, const Size& size) {
  const Columns b = {{w, size.k, size.n}};
  const Store store = Store{.c = z, .m = size.m, .n = size.n}.vectorised();
  if (!mean) return multiply(a, b, store, size.k);
  multiply_with_columns<Moments<1>::arrays>(
      a, b, size,
      [&](const auto& partials) {
        return StoreWithStatistics{store, partials};
      },
      [&](const float* sums, int tiles) { merge_moments(mean, variance, sums, tiles, size.n); });
}

}  // namespace

void pointwise_batch_norm(float* z, float* mean, float* variance, const float* x,
                          const BatchNorm<float>* before, const float* w, GemmShape s) {
  const Size size(s);
  if (!before) return forward(z, mean, variance, Rows{{x, size.m, size.k}}, w, size);
  float* factors = workspace(Workspace::layer, Normaliser::kArrays * padded_channels(size.k));
  const Normalised<true> a = {{x, size.m, size.k}, normaliser(*before, size.k, factors)};
  forward(z, mean, variance, a, w, size);
}

void pointwise_batch_norm_backward(float* dx, float* dw, float* dgamma, float* dbeta,
                                   BatchNormGradient<float> gradient, const float* x,
                                   const BatchNorm<float>* before, const float* w,
                                   const float* residual, GemmShape s) {
  const Size size(s);
  const std::int64_t behind_floats = Differentiator::kArrays * padded_channels(size.n);
  float* factors =
      workspace(Workspace::layer, behind_floats + Normaliser::kArrays * padded_channels(size.k));
  const Differentiator behind = differentiator(gradient, s.m, size.n, factors);
  const Matrix dy = {gradient.dy, size.m, size.n}, z = {gradient.z, size.m, size.n};
  const Matrix input = {x, size.m, size.k};
  Normaliser layer = {};
  if (before) layer = normaliser(*before, size.k, factors + behind_floats);

  const Store weights = Store{.c = dw, .m = size.k, .n = size.n}.vectorised();
  const Differentiated<false> columns = {dy, z, behind};
  if (before)
    multiply(Normalised<false>{input, layer}, columns, weights, size.m);
  else
    multiply(Columns{input}, columns, weights, size.m);
  if (!dx) return;

  const Differentiated<true> rows = {dy, z, behind};
  const Rows turned = {{w, size.k, size.n}};
  const Store store = Store{.c = dx, .m = size.m, .n = size.k, .residual = residual}.vectorised();
  if (!before) return multiply(rows, turned, store, size.n);
  multiply_with_columns<2>(
      rows, turned, Size({.m = s.m, .n = s.k, .k = s.n}),
      [&](const auto& partials) {
        return StoreWithParameterGradients{store, input, layer, partials};
      },
      [&](const float* sums, int tiles) {
        add_all_parts(SumOutputs<2>{{dgamma, dbeta}}, sums, tiles, size.k);
      });
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
