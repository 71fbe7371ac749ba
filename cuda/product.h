// The matrix product that all products of the GPU share: c[m,n] = a[m,k] · b[k,n], where `a` and
// `b` come from a source (cuda/operands.h) that may gather, normalise or differentiate as it
// loads, and the result goes through an epilogue (cuda/epilogue.h).
//
// A block computes a tile of c. Tiles of both operands, 16 along k, pass through several stages of
// shared memory: by cp.async where the source's values are wanted as they are, else through
// registers. Rows in shared memory are padded so that fragments are read without bank conflicts. A
// warp multiplies 32x32 on tensor cores (cuda/tensor_cores.h), or a thread 8x4 by multiply-adds.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/epilogue.h"
#include "cuda/operands.h"
#include "cuda/simt.h"
#include "cuda/tensor_cores.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

constexpr int kDepth = 16;  // of a tile along k

// One operand's tile: its loads, and where its values lie in shared memory: [kLines][kDepth] where
// neighbours lie along k, else [kDepth][kLines].
template <typename Source, int kLines, int kThreads>
class Operand {
 public:
  static constexpr bool kAlongK = Source::kAlongK;
  static constexpr int kStride = kAlongK ? kDepth + 4 : kLines + 8;
  static constexpr int kFloats = (kAlongK ? kLines : kDepth) * kStride;

  __device__ Operand(const Source& source, int first_line) : source_(source) {
#pragma unroll
    for (int v = 0; v < kPlaces; ++v) places_[v] = source.place(first_line + line(v));
  }

  // Starts loading the tile at k.
  __device__ void fetch(float* tile, int first_k) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      const auto& place = places_[kAlongK ? v : 0];
      const int k = first_k + depth(v);
      if constexpr (Source::kAsync) {
        copy(tile + offset(v), place, k);
      } else {
        loaded_[v] = source_.load(place, k);
      }
    }
  }

  // Writes down what `fetch` left in registers, after the multiplications that its loads waited
  // for.
  __device__ void store(float* tile, int first_k) const {
    if constexpr (!Source::kAsync) {
#pragma unroll
      for (int v = 0; v < kVectors; ++v)
        store4(tile + offset(v),
               source_.value(places_[kAlongK ? v : 0], first_k + depth(v), loaded_[v]));
    }
  }

  __device__ static const float* at(const float* tile, int line, int k) {
    return tile + (kAlongK ? line * kStride + k : k * kStride + line);
  }

 private:
  static constexpr int kVectors = kLines * kDepth / 4 / kThreads;
  static constexpr int kPlaces = kAlongK ? kVectors : 1;
  static constexpr int kAcross = (kAlongK ? kDepth : kLines) / 4;  // vectors in a row
  static_assert(kVectors * kThreads * 4 == kLines * kDepth && kThreads % kAcross == 0);

  // to[0, 4) = four neighbours, zeros for those outside.
  __device__ void copy(float* to, const typename Source::Place& place, int k) const {
    const float* elsewhere = source_.anywhere();
    if (source_.whole()) {
      const float* from = source_.address(place, k);
      copy_async16(to, from ? from : elsewhere, from ? 16 : 0);
      return;
    }
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float* from;
      if constexpr (kAlongK)
        from = source_.address(place, k + e);
      else
        from = source_.address(place + e, k);
      copy_async4(to + e, from ? from : elsewhere, from ? 4 : 0);
    }
  }

  __device__ static int major(int v) {
    return (static_cast<int>(threadIdx.x) + v * kThreads) / kAcross;
  }
  __device__ static int minor() { return static_cast<int>(threadIdx.x) % kAcross * 4; }
  __device__ static int line(int v) { return kAlongK ? major(v) : minor(); }
  __device__ static int depth(int v) { return kAlongK ? minor() : major(v); }
  __device__ static int offset(int v) { return major(v) * kStride + minor(); }

  const Source& source_;
  typename Source::Place places_[kPlaces];
  typename Source::Loaded loaded_[kVectors];  // nothing where copies are asynchronous
};

// --- The two ways to multiply tiles. Both hold 32 results a thread and say where each belongs. ---

// Tensor cores: a warp has 32x32 results in 2x4 fragments of 16x8.
template <typename Tile, typename A, typename B>
class TensorProduct {
 public:
  // Of the tile, `rows` and `columns` lie in the result.
  __device__ TensorProduct(int rows, int columns) : idle_(row(0) >= rows || column(0) >= columns) {}

  __device__ void add(const float* a, const float* b) {
    if (idle_) return;
#pragma unroll 1  // unrolled, it would take more registers than there are
    for (int first = 0; first < kDepth; first += 8) {
      SplitA left[2];
      SplitB right[4];
#pragma unroll
      for (int i = 0; i < 2; ++i)
        load_fragment(left[i], [&](int r, int k) { return A::at(a, row(i) + r, first + k); });
#pragma unroll
      for (int j = 0; j < 4; ++j)
        load_fragment(right[j], [&](int k, int c) { return B::at(b, column(j) + c, first + k); });
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) add_product(sums_[i][j], left[i], right[j]);
    }
  }

  // results[kRows][kStride]
  __device__ void store(float* results) const {
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j)
        for_each_pair(sums_[i][j], [&](int r, int c, float first, float second) {
          float* to = results + (row(i) + r) * Tile::kStride + column(j) + c;
          *reinterpret_cast<float2*>(to) = make_float2(first, second);
        });
  }

 private:
  static constexpr int kWarpsAcross = Tile::kColumns / 32;

  __device__ static int row(int i) { return warp_of_thread() / kWarpsAcross * 32 + i * 16; }
  __device__ static int column(int j) { return warp_of_thread() % kWarpsAcross * 32 + j * 8; }

  bool idle_;
  float sums_[2][4][4] = {};
};

// Multiply-adds: a thread has 8x4 results. Where an operand's neighbours lie along k, a thread's
// lines are spread over the tile, so that its loads of four along k meet no bank conflict.
template <typename Tile, typename A, typename B>
class PlainProduct {
 public:
  __device__ PlainProduct(int, int) {}

  __device__ void add(const float* a, const float* b) {
#pragma unroll
    for (int k = 0; k < kDepth; k += 4) {
      float left[8][4], right[4][4];
      load<A, 8>(left, a, k, [](int i) { return row(i); });
      load<B, 4>(right, b, k, [](int j) { return column(j); });
#pragma unroll
      for (int e = 0; e < 4; ++e)
#pragma unroll
        for (int i = 0; i < 8; ++i)
#pragma unroll
          for (int j = 0; j < 4; ++j) sums_[i][j] += left[i][e] * right[j][e];
    }
  }

  __device__ void store(float* results) const {
#pragma unroll
    for (int i = 0; i < 8; ++i)
#pragma unroll
      for (int j = 0; j < 4; ++j) results[row(i) * Tile::kStride + column(j)] = sums_[i][j];
  }

 private:
  static constexpr int kAcross = Tile::kColumns / 4, kDown = Tile::kRows / 8;

  __device__ static int row(int i) {
    const int y = static_cast<int>(threadIdx.x) / kAcross;
    return A::kAlongK ? y + kDown * i : i / 4 * (Tile::kRows / 2) + y * 4 + i % 4;
  }
  __device__ static int column(int j) {
    const int x = static_cast<int>(threadIdx.x) % kAcross;
    return B::kAlongK ? x + kAcross * j : x * 4 + j;
  }

  // values[line][k] for four of k
  template <typename Side, int kLines, typename Line>
  __device__ static void load(float (&values)[kLines][4], const float* tile, int k,
                              const Line& line) {
    if constexpr (Side::kAlongK) {
#pragma unroll
      for (int i = 0; i < kLines; ++i) {
        const float4 v = load4(Side::at(tile, line(i), k));
        values[i][0] = v.x, values[i][1] = v.y, values[i][2] = v.z, values[i][3] = v.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kLines; i += 4)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float4 v = load4(Side::at(tile, line(i), k + e));
          values[i][e] = v.x, values[i + 1][e] = v.y, values[i + 2][e] = v.z,
          values[i + 3][e] = v.w;
        }
    }
  }

  float sums_[8][4] = {};
};

// --- The kernel ---

struct ProductSize {
  int m, n, k;
  int part;  // of k, for each block along y of the grid; a multiple of kDepth
};

template <int kTileRows, int kTileColumns, int kTileStages>
struct Tile {
  static constexpr int kRows = kTileRows, kColumns = kTileColumns, kStages = kTileStages;
  static constexpr int kThreads = kRows * kColumns / 32;
  static constexpr int kStride = kColumns + 8;  // of results in shared memory
  // Blocks for which a multiprocessor must have registers: 128 a thread, or more where operands
  // pass through them (but for the largest tile, so that two blocks stay).
  static constexpr int kBlocks = 512 / kThreads;
  static constexpr int kBlocksThroughRegisters = kThreads > 128 ? 2 : kThreads > 64 ? 3 : 4;
};

// The tile at (row, column) of c[m,n], left in memory[kRows][kStride]. Adds k from `first` to
// `last`.
template <typename Tile, bool kTensorCores, typename SourceA, typename SourceB>
__device__ void multiply_tile(float* memory, const SourceA& source_a, const SourceB& source_b,
                              int row, int column, int m, int n, int first, int last) {
  using A = Operand<SourceA, Tile::kRows, Tile::kThreads>;
  using B = Operand<SourceB, Tile::kColumns, Tile::kThreads>;
  using Product =
      std::conditional_t<kTensorCores, TensorProduct<Tile, A, B>, PlainProduct<Tile, A, B>>;
  constexpr int kStage = A::kFloats + B::kFloats, kAhead = Tile::kStages - 1;
  A a(source_a, row);
  B b(source_b, column);
  Product product(m - row, n - column);
  const int steps = (last - first + kDepth - 1) / kDepth;
  const auto fetch = [&](int step) {
    float* stage = memory + step % Tile::kStages * kStage;
    if (step < steps) {
      a.fetch(stage, first + step * kDepth);
      b.fetch(stage + A::kFloats, first + step * kDepth);
    }
    copy_async_commit();
  };
  const auto store = [&](int step) {
    float* stage = memory + step % Tile::kStages * kStage;
    if (step >= steps) return;
    a.store(stage, first + step * kDepth);
    b.store(stage + A::kFloats, first + step * kDepth);
  };
#pragma unroll
  for (int step = 0; step < kAhead; ++step) fetch(step), store(step);
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<kAhead - 1>();
    __syncthreads();
    fetch(step + kAhead);
    const float* stage = memory + step % Tile::kStages * kStage;
    product.add(stage, stage + A::kFloats);
    store(step + kAhead);
  }
  copy_async_wait<0>();
  __syncthreads();
  product.store(memory);
  __syncthreads();
}

// Floats of shared memory.
template <typename Tile, typename A, typename B, typename Epilogue>
constexpr int product_memory() {
  constexpr int stages = Tile::kStages * (Operand<A, Tile::kRows, Tile::kThreads>::kFloats +
                                          Operand<B, Tile::kColumns, Tile::kThreads>::kFloats);
  constexpr int results = Tile::kRows * Tile::kStride + Epilogue::template memory<Tile>();
  return stages > results ? stages : results;
}

template <typename Tile, bool kTensorCores, typename A, typename B, typename Epilogue>
__global__ void __launch_bounds__(Tile::kThreads, A::kAsync&& B::kAsync
                                                      ? Tile::kBlocks
                                                      : Tile::kBlocksThroughRegisters)
    product_kernel(const A a, const B b, const Epilogue epilogue, const ProductSize size) {
  if (kTensorCores && !kMmaCompiled) return;
  float* memory = shared_memory<float>();
  const int across = (size.n + Tile::kColumns - 1) / Tile::kColumns;
  const int tile = static_cast<int>(blockIdx.x);
  const int row = tile / across * Tile::kRows, column = tile % across * Tile::kColumns;
  const int first = static_cast<int>(blockIdx.y) * size.part;
  const int last = first + size.part < size.k ? first + size.part : size.k;
  multiply_tile<Tile, kTensorCores>(memory, a, b, row, column, size.m, size.n, first, last);
  epilogue.template finish<Tile>(memory, row, column);
}

// Ends a split sum: adds the parts that products left, in their order.
template <typename Epilogue>
__global__ void __launch_bounds__(256) sum_parts_kernel(int count, const Epilogue epilogue) {
  const int across = (epilogue.n + 3) / 4;
  const std::int64_t vectors = std::int64_t{epilogue.m} * across;
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= vectors) return;
  float4 sum = zero4();
#pragma unroll 8
  for (int p = 0; p < count; ++p) sum = add4(sum, load4(epilogue.parts + (p * vectors + i) * 4));
  epilogue.store(static_cast<int>(i / across), static_cast<int>(i % across) * 4, sum);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
