// What becomes of a product's results. A tile of them lies in shared memory, results[rows][stride];
// threads take four neighbours of a row each. The same code writes down what split sums came to.
//
//   template <typename Tile> static constexpr int memory();   floats behind the results
//   template <typename Tile> __device__ void finish(float* results, int row, int column) const;
//   __device__ void store(int row, int column, float4 v) const;       where a sum may be split
#pragma once

#include "cuda/batch_norm_layer.h"
#include "cuda/float4.h"
#include "cuda/moments.h"
#include "cuda/operands.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// visit(row, column, vector) for the tile's vectors that lie inside [m, n]. A thread keeps its
// columns.
template <typename Tile, typename Visit>
__device__ void for_each_vector(const float* results, int row, int column, int m, int n,
                                const Visit& visit) {
  constexpr int kAcross = Tile::kColumns / 4, kDown = Tile::kThreads / kAcross;
  const int c = static_cast<int>(threadIdx.x) % kAcross * 4;
  if (column + c >= n) return;
  for (int r = static_cast<int>(threadIdx.x) / kAcross; r < Tile::kRows; r += kDown) {
    if (row + r >= m) break;
    visit(row + r, column + c, load4(results + r * Tile::kStride + c));
  }
}

// totals[kColumns] = Σ over the tile's rows of what each thread has for its four columns, in the
// order of threads. `scratch` holds kColumnSumMemory floats. Everyone may read the totals behind
// it.
template <typename Tile>
constexpr int kColumnSumMemory = Tile::kThreads * 4;

template <typename Tile>
__device__ void sum_columns(float* totals, float* scratch, float4 mine) {
  constexpr int kDown = Tile::kThreads * 4 / Tile::kColumns;
  __syncthreads();
  store4(scratch + threadIdx.x * 4, mine);
  __syncthreads();
  if (const int c = static_cast<int>(threadIdx.x); c < Tile::kColumns) {
    float sum = 0;
    for (int r = 0; r < kDown; ++r) sum += scratch[r * Tile::kColumns + c];
    totals[c] = sum;
  }
  __syncthreads();
}

// c[m,n] = activation(v + bias[n]) + residual[m,n]; += v where it accumulates. Where the sum is
// split, a kernel leaves its part in parts[blockIdx.y][m][n rounded up to 4] instead.
struct Store {
  float* c;
  int m, n;
  const float *bias = nullptr, *residual = nullptr;
  Activation activation = Activation::none;
  bool accumulate = false;
  bool whole = false;  // rows of all arrays consist of aligned vectors
  float* parts = nullptr;

  // After the arrays are set.
  Store vectorised() const {
    Store s = *this;
    s.whole = n % 4 == 0 && aligned(c, bias, residual);
    return s;
  }

  template <typename Tile>
  static constexpr int memory() {
    return 0;
  }

  template <typename Tile>
  __device__ void finish(float* results, int row, int column) const {
    for_each_vector<Tile>(results, row, column, m, n,
                          [&](int r, int k, float4 v) { store_result(r, k, v); });
  }

  // Of a product: the result, or a part of it.
  __device__ void store_result(int row, int column, float4 v) const {
    if (!parts) {
      store(row, column, v);
      return;
    }
    const std::int64_t stride = (n + 3) / 4 * 4;
    store4(parts + (std::int64_t{blockIdx.y} * m + row) * stride + column, v);
  }

  __device__ float4 read(const float* from, int count) const {
    return whole ? load4(from) : load_some(from, count);
  }

  // Returns what it wrote.
  __device__ float4 store(int row, int column, float4 v) const {
    const std::int64_t at = std::int64_t{row} * n + column;
    const int count = n - column;
    if (bias) v = add4(v, read(bias + column, count));
    v = activate4(v, activation);
    if (residual) v = add4(v, read(residual + at, count));
    if (accumulate) v = add4(v, read(c + at, count));
    if (whole)
      store4(c + at, v);
    else
      store_some(c + at, v, count);
    return v;
  }
};

// Numbers of each column that come of one tile's rows: sums[tile][kArrays][n], as the kernels that
// bring tiles together read them (cuda/moments.h, cuda/rows.h).
template <int kArrays>
struct ColumnPartials {
  static constexpr int arrays = kArrays;
  float* sums;
  int n;

  // of(array, column of the tile)
  template <typename Tile, typename Of>
  __device__ void store(int row, int column, const Of& of) const {
    const int c = static_cast<int>(threadIdx.x);
    if (c >= Tile::kColumns || column + c >= n) return;
    float* to = sums + std::int64_t{row / Tile::kRows} * kArrays * n + column + c;
#pragma unroll
    for (int k = 0; k < kArrays; ++k) to[std::int64_t{k} * n] = of(k, c);
  }
};

// c = v, and for each column the moments of the tile's rows, about their mean.
struct StoreWithStatistics {
  Store result;
  ColumnPartials<Moments<1>::arrays> partials;

  template <typename Tile>
  static constexpr int memory() {
    return kColumnSumMemory<Tile> + 2 * Tile::kColumns;
  }

  template <typename Tile>
  __device__ void finish(float* results, int row, int column) const {
    float* scratch = results + Tile::kRows * Tile::kStride;
    float* mean = scratch + kColumnSumMemory<Tile>;
    float* squares = mean + Tile::kColumns;
    const int rows = result.m - row < Tile::kRows ? result.m - row : Tile::kRows;
    float4 sum = zero4();
    for_each_vector<Tile>(results, row, column, result.m, result.n,
                          [&](int r, int c, float4 v) { sum = add4(sum, result.store(r, c, v)); });
    sum_columns<Tile>(mean, scratch, sum);
    if (threadIdx.x < Tile::kColumns) mean[threadIdx.x] /= static_cast<float>(rows);
    __syncthreads();
    sum = zero4();
    for_each_vector<Tile>(results, row, column, result.m, result.n, [&](int, int c, float4 v) {
      const float4 centre = load4(mean + c - column);
      const float4 d = make_float4(v.x - centre.x, v.y - centre.y, v.z - centre.z, v.w - centre.w);
      sum = add4(sum, make_float4(d.x * d.x, d.y * d.y, d.z * d.z, d.w * d.w));
    });
    sum_columns<Tile>(squares, scratch, sum);
    partials.store<Tile>(row, column, [&](int array, int c) {
      return array == Moments<1>::count     ? static_cast<float>(rows)
             : array == Moments<1>::shift   ? mean[c]
             : array == Moments<1>::squares ? squares[c]
                                            : 0.0f;
    });
  }
};

// c = v + residual, the gradient of what lies behind the batch norm of x; and for each column that
// layer's Σ dx' · (x - mean) · inverse and Σ dx' over the tile's rows.
struct StoreWithParameterGradients {
  Store result;
  Matrix x;
  Normaliser layer;
  ColumnPartials<2> partials;

  template <typename Tile>
  static constexpr int memory() {
    return kColumnSumMemory<Tile> + 2 * Tile::kColumns;
  }

  template <typename Tile>
  __device__ void finish(float* results, int row, int column) const {
    float* scratch = results + Tile::kRows * Tile::kStride;
    float* dgamma = scratch + kColumnSumMemory<Tile>;
    float* dbeta = dgamma + Tile::kColumns;
    float4 products = zero4(), sums = zero4();
    for_each_vector<Tile>(results, row, column, result.m, result.n, [&](int r, int c, float4 v) {
      const float4 value = x.load(r, c), inverse = layer.inverse(c);
      const Normaliser::Channels channels = layer.channels(c);
      const float4 d = layer.through_activation(result.store(r, c, v), value, channels);
      const float4 mean = channels.mean;
      sums = add4(sums, d);
      products = add4(products, make_float4(d.x * ((value.x - mean.x) * inverse.x),
                                            d.y * ((value.y - mean.y) * inverse.y),
                                            d.z * ((value.z - mean.z) * inverse.z),
                                            d.w * ((value.w - mean.w) * inverse.w)));
    });
    sum_columns<Tile>(dgamma, scratch, products);
    sum_columns<Tile>(dbeta, scratch, sums);
    partials.store<Tile>(row, column,
                         [&](int array, int c) { return array == 0 ? dgamma[c] : dbeta[c]; });
  }
};

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
