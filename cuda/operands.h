// Where a product (cuda/product.h) takes its operands from.
//
// A source gives four neighbours in memory at a time. They lie along k (kAlongK: one line of the
// operand, k … k+3), or across it (lines l … l+3, one k). A line is a row of `a` or a column of
// `b`. What stays the same for a line while k advances is its Place. Values outside are 0.
//
//   Place place(int line) const;
// and where values are wanted as they lie in memory (kAsync; across k a Place is the line's
// number):
//   const float* address(const Place&, int k) const;     of one; null outside
//   bool whole() const;                                  four are aligned, and all inside or
//   outside const float* anywhere() const;                       an address that may be named
// or else:
//   Loaded load(const Place&, int k) const;              what four values are made of
//   float4 value(const Place&, int k, const Loaded&) const;
#pragma once

#include "cuda/batch_norm_layer.h"
#include "cuda/float4.h"
#include "kernels/shapes.h"

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

// data[rows][columns]
struct Matrix {
  Matrix(const float* values, int row_count, int column_count)
      : data(values),
        rows(row_count),
        columns(column_count),
        whole(column_count % 4 == 0 && aligned(values)) {}

  __device__ const float* at(int row, int column) const {
    return data + std::int64_t{row} * columns + column;
  }
  __device__ bool inside(int row, int column) const { return row < rows && column < columns; }
  // Four of a row.
  __device__ float4 load(int row, int column) const {
    if (!inside(row, column)) return zero4();
    return whole ? load4(at(row, column)) : load_some(at(row, column), columns - column);
  }

  const float* data;
  int rows, columns;
  bool whole;
};

// Whole matrices: [line][k], or [k][line].
template <bool kLinesAreRows>
struct WholeMatrix {
  static constexpr bool kAlongK = kLinesAreRows, kAsync = true;
  using Place = int;
  struct Loaded {};

  __device__ Place place(int line) const { return line; }
  __device__ bool whole() const { return matrix.whole; }
  __device__ const float* anywhere() const { return matrix.data; }
  __device__ const float* address(Place line, int k) const {
    const int row = kAlongK ? line : k, column = kAlongK ? k : line;
    return matrix.inside(row, column) ? matrix.at(row, column) : nullptr;
  }

  Matrix matrix;
};

using Rows = WholeMatrix<true>;
using Columns = WholeMatrix<false>;

// x[rows, channels] through a batch norm and its activation.
template <bool kLinesAreRows>
struct Normalised {
  static constexpr bool kAlongK = kLinesAreRows, kAsync = false;
  using Loaded = float4;
  struct Place {
    int line;
    Normaliser::Channels channels;  // where they do not change with k
  };

  __device__ Place place(int line) const {
    Place p{line, {}};
    if (!kAlongK && line < x.columns) p.channels = normaliser.channels(line);
    return p;
  }
  __device__ Loaded load(const Place& p, int k) const {
    return kAlongK ? x.load(p.line, k) : x.load(k, p.line);
  }
  __device__ float4 value(const Place& p, int k, const Loaded& v) const {
    const int row = kAlongK ? p.line : k, channel = kAlongK ? k : p.line;
    if (!x.inside(row, channel)) return zero4();
    return normaliser.run(v, kAlongK ? normaliser.channels(channel) : p.channels);
  }

  Matrix x;
  Normaliser normaliser;
};

// The gradient of z[rows, channels], found from the gradient behind z's batch norm.
template <bool kLinesAreRows>
struct Differentiated {
  static constexpr bool kAlongK = kLinesAreRows, kAsync = false;
  struct Loaded {
    float4 dy, z;
  };
  struct Place {
    int line;
    Differentiator::Channels channels;
  };

  __device__ Place place(int line) const {
    Place p{line, {}};
    if (!kAlongK && line < z.columns) p.channels = differentiator.channels(line);
    return p;
  }
  __device__ Loaded load(const Place& p, int k) const {
    const int row = kAlongK ? p.line : k, channel = kAlongK ? k : p.line;
    return {dy.load(row, channel), z.load(row, channel)};
  }
  __device__ float4 value(const Place& p, int k, const Loaded& v) const {
    const int row = kAlongK ? p.line : k, channel = kAlongK ? k : p.line;
    if (!z.inside(row, channel)) return zero4();
    return differentiator.run(v.dy, v.z, kAlongK ? differentiator.channels(channel) : p.channels);
  }

  Matrix dy, z;
  Differentiator differentiator;
};

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
