// Matrix products, plain and packed, and the pointwise convolution that ends in a pool.
#include "cuda/multiply.h"
#include "cuda/pad_columns.h"
#include "cuda/table.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {
namespace {

struct Size {
  explicit Size(const GemmShape& s) : m(narrow(s.m)), n(narrow(s.n)), k(narrow(s.k)) {}
  int m, n, k;
};

Store result(float* c, const GemmShape& s) {
  const Size size(s);
  return Store{.c = c, .m = size.m, .n = size.n, .accumulate = s.accumulate}.vectorised();
}

// --- pointwise_average_pool ---

struct PoolArguments {
  float* y;  // [images, n]
  const float* bias;
  Activation activation;
  int positions, n, k;
};

// A block has some columns of one image, whose positions it takes a tile at a time.
template <typename Tile, bool kTensorCores>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    average_pool_kernel(const Rows x, const Columns packed, const PoolArguments p) {
  if (kTensorCores && !kMmaCompiled) return;
  float* memory = shared_memory<float>();
  float* scratch = memory + Tile::kRows * Tile::kStride;
  const int image = static_cast<int>(blockIdx.x);
  const int column = static_cast<int>(blockIdx.y) * Tile::kColumns;
  const int last = (image + 1) * p.positions;
  float4 sum = zero4();
  for (int row = image * p.positions; row < last; row += Tile::kRows) {
    multiply_tile<Tile, kTensorCores>(memory, x, packed, row, column, last, p.n, 0, p.k);
    for_each_vector<Tile>(memory, row, column, last, p.n, [&](int, int c, float4 v) {
      if (p.bias) v = add4(v, load_some(p.bias + c, p.n - c));
      sum = add4(sum, activate4(v, p.activation));
    });
    __syncthreads();
  }
  float* totals = scratch + kColumnSumMemory<Tile>;
  sum_columns<Tile>(totals, scratch, sum);
  const int c = static_cast<int>(threadIdx.x);
  if (c < Tile::kColumns && column + c < p.n)
    p.y[std::int64_t{image} * p.n + column + c] = totals[c] / static_cast<float>(p.positions);
}

template <typename Tile>
constexpr std::size_t average_pool_bytes() {
  constexpr int stages = product_memory<Tile, Rows, Columns, Store>();
  constexpr int results = Tile::kRows * Tile::kStride + kColumnSumMemory<Tile> + Tile::kColumns;
  return std::max(stages, results) * sizeof(float);
}

}  // namespace

void multiply_matrices(const Rows& a, const Columns& b, const Store& epilogue, int k) {
  multiply(a, b, epilogue, k);
}

void multiply_matrices(const Rows& a, const Rows& b, const Store& epilogue, int k) {
  multiply(a, b, epilogue, k);
}

void multiply_matrices(const Columns& a, const Columns& b, const Store& epilogue, int k) {
  multiply(a, b, epilogue, k);
}

void gemm(float* c, const float* a, const float* b, GemmShape s) {
  const Size size(s);
  multiply_matrices(Rows{{a, size.m, size.k}}, Columns{{b, size.k, size.n}}, result(c, s), size.k);
}

void gemm_nt(float* c, const float* a, const float* b, GemmShape s) {
  const Size size(s);
  multiply_matrices(Rows{{a, size.m, size.k}}, Rows{{b, size.n, size.k}}, result(c, s), size.k);
}

void gemm_tn(float* c, const float* a, const float* b, GemmShape s) {
  const Size size(s);
  multiply_matrices(Columns{{a, size.k, size.m}}, Columns{{b, size.k, size.n}}, result(c, s),
                    size.k);
}

void pack_gemm(float* packed, const float* b, GemmShape s) {
  const Size size(s);
  pad_columns(packed, b, size.k, size.n, packed_columns(size.n));
}

void packed_gemm(float* c, const float* a, const float* packed, const float* bias,
                 const float* residual, Activation activation, GemmShape s) {
  const Size size(s);
  const Store store = {.c = c,
                       .m = size.m,
                       .n = size.n,
                       .bias = bias,
                       .residual = residual,
                       .activation = activation};
  multiply_matrices(Rows{{a, size.m, size.k}}, Columns{{packed, size.k, packed_columns(size.n)}},
                    store.vectorised(), size.k);
}

void pointwise_average_pool(float* y, const float* x, const float* packed, const float* bias,
                            Activation activation, std::int64_t positions, GemmShape s) {
  const Size size(s);
  if (size.m == 0 || size.n == 0) return;
  const dim3 grid(size.m / narrow(positions), ceil_div(size.n, SquareTile::kColumns));
  const auto kernel = uses_tensor_cores(size.k) ? &average_pool_kernel<SquareTile, true>
                                                : &average_pool_kernel<SquareTile, false>;
  launch(kernel, grid, dim3(SquareTile::kThreads), average_pool_bytes<SquareTile>(),
         Rows{{x, size.m, size.k}}, Columns{{packed, size.k, packed_columns(size.n)}},
         PoolArguments{y, bias, activation, narrow(positions), size.n, size.k});
}

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
