#include "cuda/column_partials.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

constexpr int kColumns = 32, kLines = 16;  // of a block: a line of threads takes every 16th tile

// Numbers of some rows of a column (Chan, Golub & LeVeque 1979).
struct Moments {
  float rows = 0, mean = 0, squares = 0;

  __device__ void add(const Moments& other) {
    if (other.rows == 0) return;
    const float all = rows + other.rows, distance = other.mean - mean;
    const float share = other.rows / all;
    mean += distance * share;
    squares += other.squares + distance * distance * rows * share;
    rows = all;
  }
};

struct Sums {
  float first = 0, second = 0;

  __device__ void add(const Sums& other) {
    first += other.first;
    second += other.second;
  }
};

__device__ Moments tile_value(const Moments&, const ColumnTiles& tiles, int tile, float first,
                              float second) {
  const int left = tiles.m - tile * tiles.tile_rows;
  return {static_cast<float>(left < tiles.tile_rows ? left : tiles.tile_rows), first, second};
}

__device__ Sums tile_value(const Sums&, const ColumnTiles&, int, float first, float second) {
  return {first, second};
}

__device__ void write(const Moments& all, float* mean, float* variance, int column) {
  mean[column] = all.mean;
  variance[column] = all.squares / all.rows;
}

__device__ void write(const Sums& all, float* first, float* second, int column) {
  first[column] = all.first;
  second[column] = all.second;
}

template <typename Value>
__global__ void __launch_bounds__(kColumns* kLines)
    merge_kernel(float* first, float* second, const float* sums, const ColumnTiles tiles,
                 int count) {
  Value* lines = shared_memory<Value>();
  const int column = static_cast<int>(blockIdx.x) * kColumns + static_cast<int>(threadIdx.x);
  const std::int64_t stride = (tiles.n + 3) / 4 * 4;
  Value mine;
  if (column < tiles.n) {
#pragma unroll 4
    for (int t = static_cast<int>(threadIdx.y); t < count; t += kLines) {
      const float* from = sums + t * 2 * stride + column;
      mine.add(tile_value(mine, tiles, t, from[0], from[stride]));
    }
  }
  lines[threadIdx.y * kColumns + threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.y != 0 || column >= tiles.n) return;
  for (int line = 1; line < kLines; ++line) mine.add(lines[line * kColumns + threadIdx.x]);
  write(mine, first, second, column);
}

template <typename Value>
void merge(float* first, float* second, const float* sums, const ColumnTiles& tiles) {
  const dim3 grid((tiles.n + kColumns - 1) / kColumns);
  launch(&merge_kernel<Value>, grid, dim3(kColumns, kLines), kColumns * kLines * sizeof(Value),
         first, second, sums, tiles, tiles.count());
}

}  // namespace

void merge_statistics(float* mean, float* variance, const float* sums, const ColumnTiles& tiles) {
  merge<Moments>(mean, variance, sums, tiles);
}

void merge_sums(float* first, float* second, const float* sums, const ColumnTiles& tiles) {
  merge<Sums>(first, second, sums, tiles);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
