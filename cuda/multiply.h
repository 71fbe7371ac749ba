// Host side of a product (cuda/product.h): which tile, in how many parts, on which units. All of it
// follows from the shape (and from whether the device has tensor cores), so bytes do too.
#pragma once

#include <algorithm>
#include <climits>
#include <stdexcept>
#include <string>

#include "cuda/product.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// Sizes inside kernels are 32 bits wide. std::length_error where one is not.
inline int narrow(std::int64_t size) {
  if (size > INT_MAX / 2)
    throw std::length_error("a size of " + std::to_string(size) + " is too large for the GPU");
  return static_cast<int>(size);
}

// pack_gemm's order: b with rows padded to whole vectors, [k][columns rounded up to 32], zeros
// behind n.
inline int packed_columns(int n) { return ceil_div(n, 32) * 32; }

// Many rows; few of them; few columns; at most 32 rows, as the gradients of many weights have.
using WideTile = Tile<128, 64, 3>;
using SquareTile = Tile<64, 64, 3>;
using NarrowTile = Tile<128, 32, 3>;
using LowTile = Tile<32, 64, 3>;

// A grid smaller than this leaves multiprocessors of a large GPU idle.
constexpr int kFewTiles = 264;
// The least k of a part of a split sum, and of a sum for which tensor cores pay: below it their
// splitting costs more than it saves, and plain sums are exact to fewer roundings.
constexpr int kLeastPart = 128, kLeastTensorK = 16;
constexpr int kMostParts = 256;

inline bool uses_tensor_cores(int k) { return has_tf32() && k >= kLeastTensorK; }

// A sum over k in one part.
inline int whole_part(int k) { return std::max(ceil_div(k, kDepth) * kDepth, kDepth); }

// k of each part, a multiple of kDepth: one part where the tiles of c occupy the device.
inline int part_of(int tiles, int k) {
  const int wanted = std::clamp(ceil_div(kFewTiles, std::max(tiles, 1)), 1, kMostParts);
  const int parts = std::clamp(k / kLeastPart, 1, wanted);
  return whole_part(ceil_div(k, parts));
}

template <typename Tile>
int tiles_of(int m, int n) {
  return narrow(std::int64_t{ceil_div(m, Tile::kRows)} * ceil_div(n, Tile::kColumns));
}

template <typename Tile, typename A, typename B, typename Epilogue>
void launch_product(const A& a, const B& b, const Epilogue& epilogue, const ProductSize& size) {
  const dim3 grid(tiles_of<Tile>(size.m, size.n), std::max(ceil_div(size.k, size.part), 1));
  constexpr std::size_t bytes = product_memory<Tile, A, B, Epilogue>() * sizeof(float);
  const auto kernel = uses_tensor_cores(size.k) ? &product_kernel<Tile, true, A, B, Epilogue>
                                                : &product_kernel<Tile, false, A, B, Epilogue>;
  launch(kernel, grid, dim3(Tile::kThreads), bytes, a, b, epilogue, size);
}

// Ends a split sum of `parts` parts: adds what is in epilogue.parts.
inline void sum_parts(const Store& epilogue, int parts) {
  const std::int64_t vectors = std::int64_t{epilogue.m} * ceil_div(epilogue.n, 4);
  launch(&sum_parts_kernel<Store>, dim3(narrow(ceil_div(vectors, 256))), dim3(256), 0, parts,
         epilogue);
}

// What `epilogue` makes of a · b, on one kind of tile.
template <typename Tile, typename A, typename B>
void multiply_on(const A& a, const B& b, Store epilogue, int k) {
  const int m = epilogue.m, n = epilogue.n;
  const ProductSize size = {m, n, k, part_of(tiles_of<Tile>(m, n), k)};
  const int parts = ceil_div(k, size.part);
  const std::int64_t vectors = std::int64_t{m} * ceil_div(n, 4);
  if (parts > 1) epilogue.parts = workspace(Workspace::split_k, parts * vectors * 4);
  launch_product<Tile>(a, b, epilogue, size);
  if (parts > 1) sum_parts(epilogue, parts);
}

// use(Tile()) with the tile for a result of this shape, which has many rows.
template <bool kWithWideTile = true, typename Use>
void with_tall_tile(int m, int n, const Use& use) {
  if (n <= NarrowTile::kColumns) return use(NarrowTile());
  if constexpr (kWithWideTile)
    if (tiles_of<WideTile>(m, n) >= kFewTiles) return use(WideTile());
  use(SquareTile());
}

// What `epilogue` makes of a[m,k] · b[k,n]; a sum for few results is split.
template <typename A, typename B>
void multiply(const A& a, const B& b, const Store& epilogue, int k) {
  if (epilogue.m == 0 || epilogue.n == 0) return;
  if (epilogue.m <= LowTile::kRows) return multiply_on<LowTile>(a, b, epilogue, k);
  // Two operands through registers are too many of them for the wide tile.
  with_tall_tile<A::kAsync || B::kAsync>(
      epilogue.m, epilogue.n, [&](auto tile) { multiply_on<decltype(tile)>(a, b, epilogue, k); });
}

// Products of matrices as they are, compiled once (cuda/gemm.cu).
void multiply_matrices(const Rows& a, const Columns& b, const Store& epilogue, int k);
void multiply_matrices(const Rows& a, const Rows& b, const Store& epilogue, int k);
void multiply_matrices(const Columns& a, const Columns& b, const Store& epilogue, int k);

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
