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

template <typename Integer>
constexpr Integer divide_up(Integer a, Integer b) {
  return (a + b - 1) / b;
}

// Many rows; few of them; few columns.
using WideTile = Tile<128, 64, 3>;
using SquareTile = Tile<64, 64, 3>;
using NarrowTile = Tile<128, 32, 3>;

// A grid smaller than this leaves multiprocessors of a large GPU idle.
constexpr int kFewTiles = 264;
// The least k of a part of a split sum, and of a sum for which tensor cores pay: below it their
// splitting costs more than it saves, and plain sums are exact to fewer roundings.
constexpr int kLeastPart = 128, kLeastTensorK = 16;
constexpr int kMostParts = 256;

inline bool uses_tensor_cores(int k) { return has_tf32() && k >= kLeastTensorK; }

// k of each part, a multiple of kDepth: one part where the tiles of c occupy the device.
inline int part_of(int tiles, int k) {
  const int wanted = std::clamp(divide_up(kFewTiles, std::max(tiles, 1)), 1, kMostParts);
  const int parts = std::clamp(k / kLeastPart, 1, wanted);
  return std::max(divide_up(divide_up(k, parts), kDepth) * kDepth, kDepth);
}

template <typename Tile>
int tiles_of(int m, int n) {
  return narrow(std::int64_t{divide_up(m, Tile::kRows)} * divide_up(n, Tile::kColumns));
}

template <typename Tile, typename A, typename B, typename Epilogue>
void launch_product(const A& a, const B& b, const Epilogue& epilogue, const ProductSize& size) {
  const dim3 grid(tiles_of<Tile>(size.m, size.n), std::max(divide_up(size.k, size.part), 1));
  constexpr std::size_t bytes = product_memory<Tile, A, B, Epilogue>() * sizeof(float);
  const auto kernel = uses_tensor_cores(size.k) ? &product_kernel<Tile, true, A, B, Epilogue>
                                                : &product_kernel<Tile, false, A, B, Epilogue>;
  launch(kernel, grid, dim3(Tile::kThreads), bytes, a, b, epilogue, size);
}

// c = a · b on one kind of tile; `epilogue` must be able to store a single vector.
template <typename Tile, typename A, typename B>
void multiply_on(const A& a, const B& b, const Store& epilogue, int m, int n, int k) {
  const ProductSize size = {m, n, k, part_of(tiles_of<Tile>(m, n), k)};
  const int parts = divide_up(k, size.part);
  if (parts <= 1) return launch_product<Tile>(a, b, epilogue, size);
  const std::int64_t vectors = std::int64_t{m} * divide_up(n, 4);
  const StorePart part = {workspace(Workspace::split_k, parts * vectors * 4), m, n};
  launch_product<Tile>(a, b, part, size);
  launch(&sum_parts_kernel<Store>, dim3(narrow(divide_up<std::int64_t>(vectors, 256))), dim3(256),
         0, part.parts, parts, epilogue, m, n);
}

// epilogue(a[m,k] · b[k,n]); a sum over few results is split.
template <typename A, typename B>
void multiply(const A& a, const B& b, const Store& epilogue, int m, int n, int k) {
  if (m == 0 || n == 0) return;
  if (n <= NarrowTile::kColumns)
    multiply_on<NarrowTile>(a, b, epilogue, m, n, k);
  else if (tiles_of<WideTile>(m, n) >= kFewTiles)
    multiply_on<WideTile>(a, b, epilogue, m, n, k);
  else
    multiply_on<SquareTile>(a, b, epilogue, m, n, k);
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
