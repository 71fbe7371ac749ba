// Cases of kernels/inverted_residual.cc and of the pointwise convolution that ends in a pool.
#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

using Shape = kernels::InvertedResidualShape;

// Padding 1 on all sides, or as Keras pads stride 2: (0, 1).
Shape block(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t in,
            std::int64_t expansion, std::int64_t out, int stride, int pad = 1) {
  const auto outputs = [&](std::int64_t size) { return (size + 1 + pad - 3) / stride + 1; };
  return {.batch = batch,
          .in_height = height,
          .in_width = width,
          .in_channels = in,
          .expanded_channels = in * expansion,
          .out_height = outputs(height),
          .out_width = outputs(width),
          .out_channels = out,
          .stride = stride,
          .pad_top = pad,
          .pad_left = pad,
          .expand = expansion > 1,
          .residual = stride == 1 && in == out};
}

// A first layer of window `kernel`, stride 2, in front of a depthwise one.
Shape stem(std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t in,
           std::int64_t channels, std::int64_t out, int kernel, int pad) {
  const auto outputs = [&](std::int64_t size) { return (size + 1 + pad - kernel) / 2 + 1; };
  Shape s = block(batch, outputs(height), outputs(width), channels, 1, out, 1);
  s.full_height = s.in_height, s.full_width = s.in_width;
  s.in_height = height, s.in_width = width, s.in_channels = in;
  s.expand = true, s.residual = false;
  s.expand_kernel = kernel, s.expand_stride = 2;
  s.expand_pad_top = s.expand_pad_left = pad;
  return s;
}

Shape with_relu(Shape s) {
  s.activation = Activation::relu;
  s.out_activation = Activation::relu6;
  return s;
}

std::string label(const Shape& s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.in_height) + "x" +
         std::to_string(s.in_width) + "x" + std::to_string(s.in_channels) + " by " +
         std::to_string(s.expanded_channels) + " to " + std::to_string(s.out_channels) + " s" +
         std::to_string(s.stride) + (s.expand_kernel > 1 ? " full" : "") + " p" +
         std::to_string(s.pad_top);
}

double flops(const Shape& s) {
  const auto in = static_cast<double>(s.batch * s.middle_height() * s.middle_width());
  const auto out = static_cast<double>(s.batch * s.out_height * s.out_width);
  const auto expanded = static_cast<double>(s.expanded_channels);
  return 2 * expanded *
         ((s.expand ? in * static_cast<double>(s.expand_steps()) : 0) + 9 * out +
          out * static_cast<double>(s.out_channels));
}

// Operands: y, packed, x, expand, expand bias, depthwise, depthwise bias, project, project bias.
Case make(const Shape& s) {
  const std::int64_t expansion = s.expand ? s.expanded_channels : 0;
  return Case(label(s),
              {output(s.batch * s.out_height * s.out_width * s.out_channels),
               scratch(kernels::packed_inverted_residual_size(s)),
               input(s.batch * s.in_height * s.in_width * s.in_channels),
               input(s.expand_steps() * expansion), input(expansion),
               input(9 * s.expanded_channels), input(s.expanded_channels),
               input(s.expanded_channels * s.out_channels), input(s.out_channels)},
              [=](const auto& k, auto p) {
                k.pack_inverted_residual(p[1], s.expand ? p[3] : nullptr, s.expand ? p[4] : nullptr,
                                         p[5], p[6], p[7], p[8], s);
                k.inverted_residual(p[0], p[2], p[1], s);
              })
      // Roundings of three sums; each enters the next, whose terms are at most 6 · |w|. The
      // magnitude is a sum of absolute values without activations' signs.
      .terms(static_cast<double>(s.expand_steps() + 9 + s.expanded_channels + 3))
      .magnitude([=](const auto& k, auto p) {
        k.pack_inverted_residual(p[1], s.expand ? p[3] : nullptr, s.expand ? p[4] : nullptr, p[5],
                                 p[6], p[7], p[8], s);
        k.inverted_residual(p[0], p[2], p[1], s);
      });
}

std::vector<Shape> shapes() {
  return {block(1, 1, 1, 1, 2, 1, 1), block(2, 5, 4, 3, 1, 3, 1), block(1, 7, 9, 3, 6, 3, 1),
          block(1, 8, 6, 5, 6, 7, 2), block(1, 8, 6, 5, 6, 7, 2, 0), block(2, 9, 15, 8, 6, 8, 1),
          block(1, 7, 7, 24, 6, 24, 1), block(1, 14, 14, 33, 6, 17, 2),
          block(3, 4, 3, 17, 6, 40, 1), block(5, 3, 3, 16, 6, 16, 1),
          block(1, 33, 31, 35, 1, 15, 1), block(1, 16, 29, 7, 5, 33, 2, 0),
          block(1, 2, 30, 31, 1, 31, 2, 1), stem(1, 9, 8, 3, 17, 5, 3, 1),
          stem(2, 32, 30, 3, 32, 16, 3, 0), stem(1, 21, 40, 2, 40, 9, 5, 2),
          with_relu(block(1, 9, 28, 16, 1, 24, 1)), with_relu(block(1, 14, 14, 40, 6, 40, 1)),
          with_relu(block(3, 5, 16, 20, 4, 12, 2)),
          // Many outputs.
          block(1, 4, 4, 16, 3, 70, 1), block(1, 3, 4, 16, 3, 150, 1),
          block(2, 4, 3, 12, 4, 300, 2), block(1, 3, 3, 8, 2, 330, 1)};
}

// Operands: y, packed, x, w, bias.
Case pool_case(std::int64_t batch, std::int64_t positions, std::int64_t k, std::int64_t n,
               Activation activation) {
  const GemmShape s = {.m = batch * positions, .n = n, .k = k};
  const auto run = [=](const auto& t, auto p, Activation used) {
    t.pack_gemm(p[1], p[3], s);
    t.pointwise_average_pool(p[0], p[2], p[1], p[4], used, positions, s);
  };
  return Case(std::to_string(batch) + "x" + std::to_string(positions) + "x" + std::to_string(k) +
                  " to " + std::to_string(n),
              {output(batch * n), scratch(kernels::packed_gemm_size(k, n)), input(s.m * k),
               input(k * n), input(n)},
              [=](const auto& t, auto p) { run(t, p, activation); })
      .terms(static_cast<double>(k + positions + 3))
      .magnitude([=](const auto& t, auto p) { run(t, p, Activation::none); });
}

}  // namespace

std::vector<Case> cases_inverted_residual() {
  std::vector<Case> cases;
  for (const Shape& s : shapes()) cases.push_back(make(s));
  for (const Shape& s : {block(1, 56, 56, 24, 6, 24, 1), block(1, 14, 14, 96, 6, 96, 1),
                         block(1, 7, 7, 160, 6, 160, 1)})
    cases.push_back(make(s).benchmark(flops(s)));
  return cases;
}

// What a pack holds is each back end's own affair: it is right when the block is.
std::vector<Case> cases_pack_inverted_residual() {
  std::vector<Case> cases;
  cases.push_back(make(block(1, 3, 3, 2, 3, 2, 1)));
  return cases;
}

std::vector<Case> cases_pointwise_average_pool() {
  std::vector<Case> cases;
  cases.push_back(pool_case(1, 1, 1, 1, Activation::none));
  cases.push_back(pool_case(2, 49, 20, 70, Activation::relu6));
  cases.push_back(pool_case(3, 100, 9, 31, Activation::relu));
  cases.push_back(pool_case(1, 49, 320, 1280, Activation::relu6).benchmark(2.0 * 49 * 320 * 1280));
  return cases;
}

}  // namespace maskwatch::kernel_cases
