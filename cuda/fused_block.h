// The inverted residual block as one kernel: what is expanded and filtered never leaves shared
// memory.
//
// A block of threads has a tile of output positions of one image, up to 64, and some of the
// expanded channels. The input that the tile needs is loaded once. Then, 32 expanded channels at a
// time:
//
//   x[positions in][in] · expand[in][32]       -> expanded[positions in][32]
//   depthwise 3x3 of these                     -> filtered[64][32]
//   += filtered · project[32][out]             in registers, on tensor cores like the expansion
//
// Weights of the next 32 channels arrive by cp.async meanwhile. An expansion by a full convolution
// is a pointwise one of patches, which are gathered as the input is loaded. Without expansion the
// next 32 channels of the input take its place.
#pragma once

#include "cuda/epilogue.h"
#include "cuda/table.h"
#include "cuda/tensor_cores.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

constexpr int kBlockThreads = 256, kBlockWarps = kBlockThreads / 32;
constexpr int kChunk = 32;     // expanded channels at a time
constexpr int kTileSize = 64;  // output positions of a tile, at most
constexpr int kExpandedStride = kChunk + 8, kFilteredStride = kChunk + 4;

// Weights in a pack. Rows of expand, and depthwise where there is an expansion, are padded to 32
// channels with zeros; rows of project to 32 outputs.
template <typename Number>
struct BlockWeights {
  Number *expand, *expand_bias;        // [steps][expand_columns], [expand_columns]
  Number *depthwise, *depthwise_bias;  // [9][depthwise_columns], [depthwise_columns]
  Number *project, *project_bias;      // [expanded][project_columns], [project_columns]
  int expand_columns, depthwise_columns, project_columns;
};

struct BlockSize {
  int in_height, in_width, in_channels;  // of x
  int middle_height, middle_width;       // of what is expanded
  int out_height, out_width, out_channels;
  int expanded, steps;  // channels; products for each number of the expansion, 0 without
  int stride, pad_top, pad_left;
  int kernel, kernel_stride, kernel_pad_top, kernel_pad_left;  // of the expansion
  Activation activation;
};

// How a block is cut, and where things lie in shared memory, in floats.
struct BlockPlan {
  int tile_height, tile_width;    // output positions
  int patch_height, patch_width;  // positions of the middle that they need
  int tiles_down, tiles_across;
  int chunks;      // of expanded channels, for each block along y of the grid
  int patch_rows;  // patch positions rounded up to 16
  int x_stride;    // steps rounded up to 8, and padding
  int expanded, filtered, expand, depthwise, project, inside, total;

  __host__ __device__ int tiles() const { return tiles_down * tiles_across; }
};

struct BlockArguments {
  const float* x;
  bool whole;  // positions of x consist of aligned vectors
  bool whole_weights, whole_depthwise;
  BlockWeights<const float> weights;
  BlockSize size;
  BlockPlan plan;
  Store store;
};

// to[0, 4) = from[0, count), and zeros; by vectors where `from` is aligned and count is 4 or less
// than 1.
__device__ inline void copy4(float* to, const float* from, const float* anywhere, int count,
                             bool whole) {
  if (whole) {
    copy_async16(to, count > 0 ? from : anywhere, count > 0 ? 16 : 0);
    return;
  }
#pragma unroll
  for (int i = 0; i < 4; ++i)
    copy_async4(to + i, i < count ? from + i : anywhere, i < count ? 4 : 0);
}

// kOutTiles: 16 output channels each, of which a warp has half.
template <int kOutTiles>
class FusedBlock {
 public:
  static constexpr int kColumns = kOutTiles * 16, kProjectStride = kColumns + 8;

  __device__ FusedBlock(const BlockArguments& arguments, float* memory)
      : a_(arguments), s_(arguments.size), p_(arguments.plan), memory_(memory) {
    const int tile = static_cast<int>(blockIdx.x) % p_.tiles();
    image_ = static_cast<int>(blockIdx.x) / p_.tiles();
    out_y_ = tile / p_.tiles_across * p_.tile_height;
    out_x_ = tile % p_.tiles_across * p_.tile_width;
    middle_y_ = out_y_ * s_.stride - s_.pad_top;
    middle_x_ = out_x_ * s_.stride - s_.pad_left;
  }

  __device__ void run() {
    const int first = static_cast<int>(blockIdx.y) * p_.chunks * kChunk;
    const int last =
        first + p_.chunks * kChunk < s_.expanded ? first + p_.chunks * kChunk : s_.expanded;
    mark_inside();
    if (s_.steps > 0) load_x();
    load_first(first);
    copy_async_commit();
    copy_async_wait<0>();
    __syncthreads();
    load_second(first);
    copy_async_commit();
    for (int channel = first; channel < last; channel += kChunk) {
      const int next = channel + kChunk;
      if (s_.steps > 0) expand();
      copy_async_wait<0>();
      __syncthreads();
      if (s_.steps > 0 && next < last) load_first(next);
      copy_async_commit();
      filter();
      __syncthreads();
      if (s_.steps == 0 && next < last) load_first(next);
      copy_async_commit();
      project();
      copy_async_wait<0>();
      __syncthreads();
      if (next < last) load_second(next);
      copy_async_commit();
    }
    copy_async_wait<0>();
    finish();
  }

 private:
  __device__ static int thread() { return static_cast<int>(threadIdx.x); }

  // Whether a position of the patch lies in the image; elsewhere the depthwise convolution sees
  // zeros.
  __device__ void mark_inside() {
    for (int p = thread(); p < p_.patch_rows; p += kBlockThreads)
      memory_[p_.inside + p] = is_inside(p) ? 1.0f : 0.0f;
  }

  __device__ bool is_inside(int p) const {
    const int y = middle_y_ + p / p_.patch_width, x = middle_x_ + p % p_.patch_width;
    return p < p_.patch_height * p_.patch_width && y >= 0 && y < s_.middle_height && x >= 0 &&
           x < s_.middle_width;
  }

  __device__ const float* pixel(int y, int x) const {
    return a_.x + ((std::int64_t{image_} * s_.in_height + y) * s_.in_width + x) * s_.in_channels;
  }

  // memory[patch_rows][x_stride]: what each position of the patch is expanded from.
  __device__ void load_x() {
    const int across = (p_.x_stride - 4) / 4;
    const int count = p_.patch_height * p_.patch_width * across;
    for (int i = thread(); i < count; i += kBlockThreads) {
      const int p = i / across, k = i % across * 4;
      float* to = memory_ + p * p_.x_stride + k;
      const int y = middle_y_ + p / p_.patch_width, x = middle_x_ + p % p_.patch_width;
      const bool inside = is_inside(p);
      if (s_.kernel == 1)
        copy4(to, pixel(y, x) + k, a_.x, inside ? s_.in_channels - k : 0, a_.whole);
      else
        load_patch(to, y, x, k, inside);
    }
  }

  // Four steps of a full convolution at a position of the middle.
  __device__ void load_patch(float* to, int y, int x, int first, bool inside) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int tap = (first + i) / s_.in_channels, channel = (first + i) % s_.in_channels;
      const int from_y = y * s_.kernel_stride - s_.kernel_pad_top + tap / s_.kernel;
      const int from_x = x * s_.kernel_stride - s_.kernel_pad_left + tap % s_.kernel;
      const bool there = inside && first + i < s_.steps && from_y >= 0 && from_y < s_.in_height &&
                         from_x >= 0 && from_x < s_.in_width;
      copy_async4(to + i, there ? pixel(from_y, from_x) + channel : a_.x, there ? 4 : 0);
    }
  }

  // What comes first for 32 channels: weights of the expansion, or the channels themselves.
  __device__ void load_first(int channel) {
    if (s_.steps == 0) return load_channels(channel);
    const BlockWeights<const float>& w = a_.weights;
    const int rows = p_.x_stride - 4;
    for (int i = thread(); i < (rows + 1) * (kChunk / 4); i += kBlockThreads) {
      const int row = i / (kChunk / 4), c = i % (kChunk / 4) * 4;
      // The bias is the row behind the last.
      const float* from =
          row < rows ? w.expand + std::int64_t{row} * w.expand_columns : w.expand_bias;
      const int count = row < s_.steps || row == rows ? 4 : 0;
      copy4(memory_ + p_.expand + row * kExpandedStride + c, from + channel + c, w.expand, count,
            a_.whole_weights);
    }
  }

  __device__ void load_channels(int channel) {
    const int count = p_.patch_height * p_.patch_width * (kChunk / 4);
    for (int i = thread(); i < count; i += kBlockThreads) {
      const int p = i / (kChunk / 4), c = i % (kChunk / 4) * 4;
      const int y = middle_y_ + p / p_.patch_width, x = middle_x_ + p % p_.patch_width;
      copy4(memory_ + p_.expanded + p * kExpandedStride + c, pixel(y, x) + channel + c, a_.x,
            is_inside(p) ? s_.in_channels - channel - c : 0, a_.whole);
    }
  }

  // Weights and bias of the depthwise convolution, [10][32], and rows of the projection.
  __device__ void load_second(int channel) {
    const BlockWeights<const float>& w = a_.weights;
    for (int i = thread(); i < 10 * (kChunk / 4); i += kBlockThreads) {
      const int row = i / (kChunk / 4), c = i % (kChunk / 4) * 4;
      const float* from = row < 9 ? w.depthwise + row * w.depthwise_columns : w.depthwise_bias;
      copy4(memory_ + p_.depthwise + row * kChunk + c, from + channel + c, w.depthwise,
            w.depthwise_columns - channel - c, a_.whole_depthwise);
    }
    for (int i = thread(); i < kChunk * (kColumns / 4); i += kBlockThreads) {
      const int row = i / (kColumns / 4), c = i % (kColumns / 4) * 4;
      const bool inside = channel + row < s_.expanded && c < w.project_columns;
      copy4(memory_ + p_.project + row * kProjectStride + c,
            w.project + std::int64_t{channel + row} * w.project_columns + c, w.project,
            inside ? 4 : 0, a_.whole_weights);
    }
  }

  // A warp expands 16 positions of the patch at a time.
  __device__ void expand() {
    const float* weights = memory_ + p_.expand;
    const int depth = p_.x_stride - 4;
#pragma unroll 1
    for (int row = warp_of_thread() * 16; row < p_.patch_rows; row += kBlockWarps * 16) {
      const float* rows = memory_ + row * p_.x_stride;
      float sums[4][4] = {};
#pragma unroll 1
      for (int first = 0; first < depth; first += 8) {
        SplitA left;
        load_fragment(left, [&](int r, int k) { return rows + r * p_.x_stride + first + k; });
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          SplitB right;
          load_fragment(right, [&](int k, int c) {
            return weights + (first + k) * kExpandedStride + j * 8 + c;
          });
          add_product(sums[j], left, right);
        }
      }
#pragma unroll
      for (int j = 0; j < 4; ++j)
        store_expanded(sums[j], row, j * 8, weights + depth * kExpandedStride);
    }
  }

  __device__ void store_expanded(const float (&sums)[4], int row, int column, const float* bias) {
    for_each_pair(sums, [&](int r, int c, float first, float second) {
      const bool inside = memory_[p_.inside + row + r] != 0;
      c += column;
      const float2 v = make_float2(
          inside ? kernels::scalar::activate(first + bias[c], s_.activation) : 0.0f,
          inside ? kernels::scalar::activate(second + bias[c + 1], s_.activation) : 0.0f);
      *reinterpret_cast<float2*>(memory_ + p_.expanded + (row + r) * kExpandedStride + c) = v;
    });
  }

  // A thread filters four channels of two positions, one below the other, which share most of what
  // they read.
  __device__ void filter() {
    const int c = thread() % (kChunk / 4) * 4;
    const float* weights = memory_ + p_.depthwise + c;
    const float4 bias = load4(weights + 9 * kChunk);
    const int count = (p_.tile_height + 1) / 2 * p_.tile_width;
#pragma unroll 1
    for (int i = thread() / (kChunk / 4); i < count; i += kBlockThreads / (kChunk / 4)) {
      const int y = i / p_.tile_width * 2, x = i % p_.tile_width;
      const bool has_lower = y + 1 < p_.tile_height;
      float4 upper = bias, lower = bias;
#pragma unroll 1
      for (int row = 0; row < 5; ++row) {
        // Rows of the patch: 3 for the upper position, 3 for the lower one, `stride` further down.
        const int lower_row = row - s_.stride;
        if (row > 2 && (!has_lower || lower_row > 2)) break;
#pragma unroll
        for (int column = 0; column < 3; ++column) {
          const int p = (y * s_.stride + row) * p_.patch_width + x * s_.stride + column;
          const float4 v = load4(memory_ + p_.expanded + p * kExpandedStride + c);
          if (row < 3) add_tap(upper, v, load4(weights + (row * 3 + column) * kChunk));
          if (has_lower && lower_row >= 0)
            add_tap(lower, v, load4(weights + (lower_row * 3 + column) * kChunk));
        }
      }
      float* to = memory_ + p_.filtered + (y * p_.tile_width + x) * kFilteredStride + c;
      store4(to, activate4(upper, s_.activation));
      if (has_lower) store4(to + p_.tile_width * kFilteredStride, activate4(lower, s_.activation));
    }
  }

  __device__ static void add_tap(float4& sum, float4 v, float4 w) {
    sum.x += v.x * w.x, sum.y += v.y * w.y, sum.z += v.z * w.z, sum.w += v.w * w.w;
  }

  // A warp has 16 positions and half of the output channels.
  __device__ static int project_row() { return warp_of_thread() / 2 * 16; }
  __device__ static int project_column() { return warp_of_thread() % 2 * (kColumns / 2); }

  __device__ void project() {
    if (project_row() >= p_.tile_height * p_.tile_width) return;
    const float* rows = memory_ + p_.filtered + project_row() * kFilteredStride;
    const float* weights = memory_ + p_.project + project_column();
#pragma unroll 1
    for (int first = 0; first < kChunk; first += 8) {
      SplitA left;
      load_fragment(left, [&](int r, int k) { return rows + r * kFilteredStride + first + k; });
#pragma unroll
      for (int j = 0; j < kOutTiles; ++j) {
        SplitB right;
        load_fragment(right, [&](int k, int c) {
          return weights + (first + k) * kProjectStride + j * 8 + c;
        });
        add_product(sums_[j], left, right);
      }
    }
  }

  // Through shared memory, so that whole vectors go out.
  __device__ void finish() {
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kOutTiles; ++j)
      for_each_pair(sums_[j], [&](int r, int c, float first, float second) {
        float* to = memory_ + (project_row() + r) * kProjectStride + project_column() + j * 8 + c;
        *reinterpret_cast<float2*>(to) = make_float2(first, second);
      });
    __syncthreads();
    for (int i = thread(); i < p_.tile_height * p_.tile_width * (kColumns / 4);
         i += kBlockThreads) {
      const int p = i / (kColumns / 4), c = i % (kColumns / 4) * 4;
      const int y = out_y_ + p / p_.tile_width, x = out_x_ + p % p_.tile_width;
      if (y >= s_.out_height || x >= s_.out_width || c >= s_.out_channels) continue;
      a_.store.store_result((image_ * s_.out_height + y) * s_.out_width + x, c,
                            load4(memory_ + p * kProjectStride + c));
    }
  }

  const BlockArguments& a_;
  const BlockSize& s_;
  const BlockPlan& p_;
  float* memory_;
  int image_, out_y_, out_x_, middle_y_, middle_x_;
  float sums_[kOutTiles][4] = {};
};

template <int kOutTiles>
__global__ void __launch_bounds__(kBlockThreads, kOutTiles > 6 ? 1 : 2)
    fused_block_kernel(const BlockArguments arguments) {
  if constexpr (kMmaCompiled) FusedBlock<kOutTiles>(arguments, shared_memory<float>()).run();
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
