// Cases of kernels/conv.cc.
#include "tests/kernels/cases.h"
#include "tests/kernels/conv_shapes.h"

namespace maskwatch::kernel_cases {
namespace {

std::vector<ConvShape> conv_shapes() {
  return {conv_shape({1, 1, 1, 1, 1, 1, 1, 0}),
          conv_shape({2, 5, 4, 3, 5, 3, 1, 1}),
          conv_shape({1, 7, 9, 3, 17, 3, 2, 1}),
          conv_shape({1, 6, 6, 16, 33, 1, 1, 0}),
          keras_shape(2, 8, 3, 16),
          conv_shape({1, 19, 37, 3, 40, 3, 2, 1}),
          conv_shape({2, 9, 31, 17, 9, 3, 1, 1}),
          conv_shape({1, 7, 6, 2, 3, 5, 1, 2}),
          conv_shape({1, 8, 8, 5, 6, 3, 1, 0}),
          conv_shape({1, 7, 5, 4, 6, 1, 2, 0}),
          dilated(conv_shape({1, 9, 8, 3, 5, 3, 1, 2}), 2)};
}

std::int64_t x_size(const ConvShape& s) {
  return s.batch * s.in_height * s.in_width * s.in_channels;
}
std::int64_t y_size(const ConvShape& s) {
  return s.batch * s.out_height * s.out_width * s.out_channels;
}
std::int64_t taps(const ConvShape& s) { return std::int64_t{s.kernel_height} * s.kernel_width; }
std::int64_t conv_weights(const ConvShape& s) { return taps(s) * s.in_channels * s.out_channels; }
std::int64_t depthwise_weights(const ConvShape& s) { return taps(s) * s.out_channels; }
double conv_flops(const ConvShape& s) { return 2.0 * y_size(s) * taps(s) * s.in_channels; }
double depthwise_flops(const ConvShape& s) { return 2.0 * y_size(s) * taps(s); }

const ConvShape stem = keras_shape(8, 224, 3, 32);
const ConvShape wide = conv_shape({8, 56, 56, 144, 144, 3, 1, 1});
const ConvShape strided = keras_shape(8, 112, 96, 96);

// run(k, y, x, w, bias, activation, shape). Operands: y, x, w, bias.
template <typename Run>
Case forward_case(ConvShape s, std::int64_t weights, bool has_bias, Activation activation,
                  const Run& run) {
  const auto with = [=](const auto& k, auto p, Activation used) {
    run(k, p[0], p[1], p[2], has_bias ? p[3] : nullptr, used, s);
  };
  return Case(label(s),
              {output(y_size(s)), input(x_size(s)), input(weights),
               input(has_bias ? s.out_channels : 0)},
              [=](const auto& k, auto p) { with(k, p, activation); })
      .terms(static_cast<double>(weights) / static_cast<double>(s.out_channels) + 1)
      .magnitude([=](const auto& k, auto p) { with(k, p, Activation::none); });
}

// Operands: derivative, dy, x, w; `variable` is 2 or 3. forward(k, y, x, w).
template <typename Run, typename Forward>
Case backward_case(ConvShape s, std::int64_t weights, int variable, double terms, const Run& run,
                   const Forward& forward) {
  const std::int64_t derivative = variable == 2 ? x_size(s) : weights;
  const auto backward = [=](const auto& k, auto p) { run(k, p, s); };
  Case c = Case(label(s), {output(derivative), input(y_size(s)), input(x_size(s)), input(weights)},
                backward)
               .terms(terms)
               .magnitude(backward);
  if (derivative < 300)
    c.gradient = {
        .upstream = 1,
        .pairs = {{0, variable}},
        .forward_size = y_size(s),
        .forward = [=](const auto& k, double* y, auto p) { forward(k, y, p[2], p[3], s); }};
  return c;
}

double positions(const ConvShape& s) {
  return static_cast<double>(s.batch * s.out_height * s.out_width);
}

constexpr auto conv_forward = [](const auto& k, double* y, double* x, double* w, ConvShape s) {
  k.conv2d(y, x, w, nullptr, Activation::none, s);
};
constexpr auto depthwise_forward = [](const auto& k, double* y, double* x, double* w, ConvShape s) {
  k.depthwise3x3(y, x, w, nullptr, Activation::none, s);
};

}  // namespace

std::vector<Case> cases_conv2d() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s, bool has_bias, Activation activation) {
    return forward_case(s, conv_weights(s), has_bias, activation,
                        [](const auto& k, auto y, auto x, auto w, auto bias, Activation a,
                           ConvShape shape) { k.conv2d(y, x, w, bias, a, shape); });
  };
  for (const ConvShape& s : conv_shapes()) {
    cases.push_back(make(s, false, Activation::none));
    cases.push_back(make(s, true, Activation::relu6));
  }
  cases.push_back(make(stem, true, Activation::relu6).benchmark(conv_flops(stem)));
  return cases;
}

// Operands: y, packed, x, w, bias.
std::vector<Case> cases_packed_conv2d() {
  std::vector<Case> cases;
  for (const ConvShape& s : conv_shapes()) {
    const std::int64_t k = conv_weights(s) / s.out_channels;
    const auto run = [=](const auto& t, auto p, Activation activation) {
      t.pack_gemm(p[1], p[3], {.n = s.out_channels, .k = k});
      t.packed_conv2d(p[0], p[2], p[1], p[4], activation, s);
    };
    cases.push_back(Case(label(s),
                         {output(y_size(s)), scratch(kernels::packed_gemm_size(k, s.out_channels)),
                          input(x_size(s)), input(conv_weights(s)), input(s.out_channels)},
                         [=](const auto& t, auto p) { run(t, p, Activation::relu6); })
                        .terms(static_cast<double>(k + 3))
                        .magnitude([=](const auto& t, auto p) { run(t, p, Activation::none); }));
  }
  return cases;
}

std::vector<Case> cases_conv2d_backward_input() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s) {
    return backward_case(
        s, conv_weights(s), 2, static_cast<double>(taps(s) * s.out_channels),
        [](const auto& k, auto p, ConvShape shape) {
          k.conv2d_backward_input(p[0], p[1], p[3], shape);
        },
        conv_forward);
  };
  for (const ConvShape& s : conv_shapes()) cases.push_back(make(s));
  return cases;
}

std::vector<Case> cases_conv2d_backward_weight() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s) {
    return backward_case(
        s, conv_weights(s), 3, positions(s),
        [](const auto& k, auto p, ConvShape shape) {
          k.conv2d_backward_weight(p[0], p[1], p[2], shape);
        },
        conv_forward);
  };
  for (const ConvShape& s : conv_shapes()) cases.push_back(make(s));
  cases.push_back(make(stem).benchmark(conv_flops(stem)));
  return cases;
}

std::vector<Case> cases_depthwise3x3() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s, bool has_bias, Activation activation) {
    return forward_case(s, depthwise_weights(s), has_bias, activation,
                        [](const auto& k, auto y, auto x, auto w, auto bias, Activation a,
                           ConvShape shape) { k.depthwise3x3(y, x, w, bias, a, shape); });
  };
  for (const ConvShape& s : depthwise_shapes()) {
    cases.push_back(make(s, false, Activation::none));
    cases.push_back(make(s, true, Activation::relu6));
  }
  for (const ConvShape& s : {wide, strided})
    cases.push_back(make(s, true, Activation::relu6).benchmark(depthwise_flops(s)));
  return cases;
}

std::vector<Case> cases_depthwise3x3_backward_input() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s) {
    return backward_case(
        s, depthwise_weights(s), 2, static_cast<double>(taps(s)),
        [](const auto& k, auto p, ConvShape shape) {
          k.depthwise3x3_backward_input(p[0], p[1], p[3], shape);
        },
        depthwise_forward);
  };
  for (const ConvShape& s : depthwise_shapes()) cases.push_back(make(s));
  for (const ConvShape& s : {wide, strided}) cases.push_back(make(s).benchmark(depthwise_flops(s)));
  return cases;
}

std::vector<Case> cases_depthwise3x3_backward_weight() {
  std::vector<Case> cases;
  const auto make = [](ConvShape s) {
    return backward_case(
        s, depthwise_weights(s), 3, positions(s),
        [](const auto& k, auto p, ConvShape shape) {
          k.depthwise3x3_backward_weight(p[0], p[1], p[2], shape);
        },
        depthwise_forward);
  };
  for (const ConvShape& s : depthwise_shapes()) cases.push_back(make(s));
  for (const ConvShape& s : {wide, strided}) cases.push_back(make(s).benchmark(depthwise_flops(s)));
  return cases;
}

}  // namespace maskwatch::kernel_cases
