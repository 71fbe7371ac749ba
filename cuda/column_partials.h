// Sums over the rows of a matrix that a product left a tile at a time (ColumnPartials in
// cuda/epilogue.h), brought together in the tiles' order: the same bytes every time.
#pragma once

#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Rows m are cut into tiles of `tile_rows`, the last one of what is left; n columns.
struct ColumnTiles {
  int m, n, tile_rows;

  int count() const { return (m + tile_rows - 1) / tile_rows; }
  std::int64_t floats() const { return std::int64_t{count()} * 2 * ((n + 3) / 4 * 4); }
};

// From the means of the tiles and their sums of squared distances: mean[n] and biased variance[n].
void merge_statistics(float* mean, float* variance, const float* sums, const ColumnTiles& tiles);
// first[n] and second[n]: the sums of both.
void merge_sums(float* first, float* second, const float* sums, const ColumnTiles& tiles);

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
