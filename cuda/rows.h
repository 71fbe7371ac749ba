// Kernels over x[rows, channels] in which a thread keeps its channels and walks over rows: what
// holds for a channel is loaded once, and neighbours read neighbouring addresses. A block is
// `lanes` threads along the channels, each with 1 or 4 of them, times `rows` rows; the rows are cut
// into parts by the shape alone. Sums over rows are made in two kernels: each part's, then of all
// parts in their order.
#pragma once

#include "cuda/vectors.h"
#include "kernels/shapes.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Few, so that kernels which need many registers still put several blocks on a multiprocessor.
constexpr int kRowThreads = 128;

struct RowParts {
  int width;               // channels of a thread
  unsigned lanes, rows;    // a block
  unsigned tiles;          // blocks along the channels
  unsigned parts;          // blocks along the rows
  std::int64_t rows_each;  // rows of a part

  dim3 grid() const { return dim3(tiles, parts); }
  dim3 block() const { return dim3(lanes, rows); }
  bool empty() const { return tiles == 0 || parts == 0; }
};

// `whole_vectors`: all addresses are aligned. `turns`: rows that a thread walks over, as far as
// that needs no more than `most_blocks`.
inline RowParts row_parts(kernels::RowShape s, bool whole_vectors, int turns, int most_blocks) {
  RowParts p;
  p.width = whole_vectors && s.channels % 4 == 0 ? 4 : 1;
  const std::int64_t vectors = s.channels / p.width;
  p.lanes = static_cast<unsigned>(vectors < kRowThreads ? vectors : kRowThreads);
  p.rows = p.lanes > 0 ? kRowThreads / p.lanes : 1;
  p.tiles = static_cast<unsigned>(ceil_div(vectors, kRowThreads));
  const std::int64_t at_once = p.rows;
  std::int64_t most = p.tiles > 0 ? most_blocks / p.tiles : 1;
  most = most < 1 ? 1 : most > 65535 ? 65535 : most;
  const std::int64_t wanted = ceil_div(s.rows, at_once * turns);
  const std::int64_t parts = wanted < most ? wanted : most;
  p.rows_each = parts > 0 ? ceil_div(ceil_div(s.rows, parts), at_once) * at_once : 0;
  p.parts = static_cast<unsigned>(p.rows_each > 0 ? ceil_div(s.rows, p.rows_each) : 0);
  return p;
}

// Parts of a map are many: its threads need no more than a few rows to be worth their constants.
inline RowParts map_parts(kernels::RowShape s, bool whole_vectors, int turns = 8) {
  return row_parts(s, whole_vectors, turns, 1 << 30);
}

// Parts of a sum, few enough that adding them up costs little, and enough to fill a large GPU.
inline RowParts sum_parts(kernels::RowShape s, bool whole_vectors, int turns = 16) {
  return row_parts(s, whole_vectors, turns, 1024);
}

// The first channel of this thread; not below `channels` if it has none.
template <int width>
__device__ __forceinline__ std::int64_t own_channel() {
  return (std::int64_t{blockIdx.x} * kRowThreads + threadIdx.x) * width;
}

// Adds up `values` of all rows of the block, in an order that blockDim alone decides. The sum is
// that of the threads with threadIdx.y == 0. `shared`: one for each thread.
template <typename Values>
__device__ __forceinline__ void add_over_block_rows(Values& values, Values* shared) {
  const unsigned own = threadIdx.y * blockDim.x + threadIdx.x;
  shared[own] = values;
  unsigned half = 1;
  while (half < blockDim.y) half *= 2;
  for (half /= 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half && threadIdx.y + half < blockDim.y) {
      values.add(shared[own + half * blockDim.x]);
      shared[own] = values;
    }
  }
}

// `count` sums for each of `width` channels.
template <int width, int count>
struct ChannelSums {
  static constexpr int arrays = count;
  Vector<width> of[count];

  __device__ __forceinline__ void add(const ChannelSums& other) {
#pragma unroll
    for (int k = 0; k < count; ++k)
#pragma unroll
      for (int j = 0; j < width; ++j) of[k].at[j] += other.of[k].at[j];
  }
};

// Of a formula without sums.
struct NoSums {
  static constexpr int arrays = 0;
};

// One pass over the rows. A formula has
//   static constexpr int unroll;  // rows at once
//   template <int width> struct Thread {
//     using Sums;                 // NoSums, or a type as ChannelSums is
//     Thread(const Formula&, std::int64_t channel);
//     void row(const Formula&, std::int64_t row, std::int64_t channel);
//     Sums sums() const;
//   };
// partial[part, sum, channel]; null without sums.
template <int width, typename Formula>
__global__ void __launch_bounds__(kRowThreads)
    pass_over_rows(float* partial, Formula formula, kernels::RowShape s, std::int64_t rows_each) {
  using Thread = typename Formula::template Thread<width>;
  using Sums = typename Thread::Sums;
  const std::int64_t c = own_channel<width>();
  const std::int64_t begin = blockIdx.y * rows_each;
  const std::int64_t end = begin + rows_each < s.rows ? begin + rows_each : s.rows;
  Sums sums = {};
  if (c < s.channels) {
    Thread thread(formula, c);
#pragma unroll Formula::unroll
    for (std::int64_t r = begin + threadIdx.y; r < end; r += blockDim.y) thread.row(formula, r, c);
    if constexpr (Sums::arrays > 0) sums = thread.sums();
  }
  if constexpr (Sums::arrays > 0) {
    __shared__ Sums shared[kRowThreads];
    add_over_block_rows(sums, shared);
    if (c >= s.channels || threadIdx.y != 0) return;
#pragma unroll
    for (int k = 0; k < Sums::arrays; ++k)
      store<width>(partial + (std::int64_t{blockIdx.y} * Sums::arrays + k) * s.channels + c,
                   sums.of[k]);
  }
}

template <typename Formula>
void run_pass(float* partial, const Formula& formula, kernels::RowShape s, const RowParts& p) {
  if (p.empty()) return;
  launch(p.width == 4 ? pass_over_rows<4, Formula> : pass_over_rows<1, Formula>, p.grid(),
         p.block(), 0, partial, formula, s, p.rows_each);
}

// A pass without sums.
template <typename Formula>
void map_rows(const Formula& formula, kernels::RowShape s, bool whole_vectors) {
  run_pass(nullptr, formula, s, map_parts(s, whole_vectors));
}

// --- Sums of parts ---

constexpr int kMergeLanes = 32, kMostMergeRows = 32;

// Threads along the parts: a power of two.
inline unsigned merge_rows(std::int64_t parts) {
  unsigned rows = 1;
  while (rows < kMostMergeRows && rows < parts) rows *= 2;
  return rows;
}

// out.to[k][c] = the sum of partial[part, k, c] over all parts.
template <int count>
struct SumOutputs {
  float* to[count];
};

template <int count>
__global__ void __launch_bounds__(kMergeLanes* kMostMergeRows)
    add_parts(SumOutputs<count> out, const float* partial, std::int64_t parts,
              std::int64_t channels) {
  __shared__ ChannelSums<1, count> shared[kMergeLanes * kMostMergeRows];
  const std::int64_t c = std::int64_t{blockIdx.x} * kMergeLanes + threadIdx.x;
  ChannelSums<1, count> sums = {};
  if (c < channels) {
#pragma unroll 4
    for (std::int64_t part = threadIdx.y; part < parts; part += blockDim.y)
#pragma unroll
      for (int k = 0; k < count; ++k)
        sums.of[k].at[0] += partial[(part * count + k) * channels + c];
  }
  add_over_block_rows(sums, shared);
  if (c >= channels || threadIdx.y != 0) return;
#pragma unroll
  for (int k = 0; k < count; ++k) out.to[k][c] = sums.of[k].at[0];
}

template <int count>
void add_all_parts(const SumOutputs<count>& out, const float* partial, std::int64_t parts,
                   std::int64_t channels) {
  launch(add_parts<count>, dim3(static_cast<unsigned>(ceil_div(channels, kMergeLanes))),
         dim3(kMergeLanes, merge_rows(parts)), 0, out, partial, parts, channels);
}

// The workspace for partial[parts, arrays, channels].
inline float* partial_sums(Workspace area, const RowParts& p, int arrays, std::int64_t channels) {
  return p.empty() ? nullptr : workspace(area, std::int64_t{p.parts} * arrays * channels);
}

// A pass with ChannelSums: out.to[k][c] = its sums over all rows; zeros where there are none.
template <int count, typename Formula>
void sum_rows(const SumOutputs<count>& out, const Formula& formula, kernels::RowShape s,
              bool whole_vectors) {
  const RowParts p = sum_parts(s, whole_vectors);
  float* const partial = partial_sums(Workspace::column_sums, p, count, s.channels);
  run_pass(partial, formula, s, p);
  add_all_parts(out, partial, p.parts, s.channels);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
