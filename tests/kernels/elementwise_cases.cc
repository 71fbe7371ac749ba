// Cases of kernels/elementwise.cc.
#include "tests/kernels/cases.h"

namespace maskwatch::kernel_cases {
namespace {

using kernels::UpsampleShape;

constexpr std::int64_t large = 32 * 112 * 112 * 96;  // MobileNetV2's largest activation at batch 32

std::string label(std::int64_t n) { return "n=" + std::to_string(n); }
std::string label(RowShape s) { return std::to_string(s.rows) + "x" + std::to_string(s.channels); }
std::string label(UpsampleShape s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.height) + "x" + std::to_string(s.width) +
         "x" + std::to_string(s.channels);
}
std::string label(PoolShape s) {
  return std::to_string(s.batch) + "x" + std::to_string(s.positions) + "x" +
         std::to_string(s.channels);
}

// One case for each length, and a large one for the benchmark; make(n) gives the case.
template <typename Make>
std::vector<Case> for_lengths(const Make& make, double flops_each = 1) {
  std::vector<Case> cases;
  for (const std::int64_t n : lengths()) cases.push_back(make(n));
  cases.push_back(make(large).benchmark(flops_each * large));
  return cases;
}

template <typename Forward>
Gradient elementwise_gradient(std::int64_t n, const Forward& forward) {
  return {.upstream = 1, .pairs = {{0, 2}}, .forward_size = n, .forward = forward};
}

std::vector<RowShape> row_shapes() {
  std::vector<RowShape> shapes = {{1, 1}, {3, 1}, {0, 4}, {1, 16}, {5, 3}, {6, 1000}, {5000, 24}};
  for (std::int64_t channels = 2; channels <= 33; ++channels) shapes.push_back({7, channels});
  return shapes;
}

std::vector<PoolShape> pool_shapes() {
  std::vector<PoolShape> shapes = {{1, 1, 1}, {0, 49, 8}, {2, 49, 1280}, {33, 4, 96}, {3, 5, 7}};
  for (std::int64_t channels = 1; channels <= 33; ++channels) shapes.push_back({2, 9, channels});
  return shapes;
}

// Sizes of the result: even, odd, of one pixel, of more than one task.
std::vector<UpsampleShape> upsample_shapes() {
  std::vector<UpsampleShape> shapes = {{1, 1, 1, 1}, {0, 4, 4, 3}, {3, 0, 4, 3}, {2, 4, 0, 3},
                                       {1, 2, 1, 2}, {3, 6, 4, 5}, {2, 5, 3, 7}, {2, 65, 63, 24}};
  for (std::int64_t channels = 1; channels <= 33; ++channels) shapes.push_back({2, 3, 4, channels});
  return shapes;
}

constexpr std::int64_t size(RowShape s) { return s.rows * s.channels; }
constexpr std::int64_t size(PoolShape s) { return s.batch * s.positions * s.channels; }

}  // namespace

std::vector<Case> cases_relu() {
  return for_lengths([](std::int64_t n) {
    return Case(label(n), {output(n), input(n, Fill::kinked)},
                [=](const auto& k, auto p) { k.relu(p[0], p[1], n); })
        .aliases(0, 1);
  });
}

std::vector<Case> cases_relu6() {
  return for_lengths([](std::int64_t n) {
    return Case(label(n), {output(n), input(n, Fill::kinked)},
                [=](const auto& k, auto p) { k.relu6(p[0], p[1], n); })
        .aliases(0, 1);
  });
}

std::vector<Case> cases_relu_backward() {
  return for_lengths([](std::int64_t n) {
    Case c =
        Case(label(n), {output(n), input(n), input(n, Fill::kinked)}, [=](const auto& k, auto p) {
          k.relu_backward(p[0], p[1], p[2], n);
        }).aliases(0, 1);
    if (n < 100)
      c.gradient =
          elementwise_gradient(n, [=](const auto& k, double* y, auto p) { k.relu(y, p[2], n); });
    return c;
  });
}

std::vector<Case> cases_relu6_backward() {
  return for_lengths([](std::int64_t n) {
    Case c =
        Case(label(n), {output(n), input(n), input(n, Fill::kinked)}, [=](const auto& k, auto p) {
          k.relu6_backward(p[0], p[1], p[2], n);
        }).aliases(0, 1);
    if (n < 100)
      c.gradient =
          elementwise_gradient(n, [=](const auto& k, double* y, auto p) { k.relu6(y, p[2], n); });
    return c;
  });
}

std::vector<Case> cases_add() {
  return for_lengths([](std::int64_t n) {
    return Case(label(n), {output(n), input(n), input(n)},
                [=](const auto& k, auto p) { k.add(p[0], p[1], p[2], n); })
        .aliases(0, 1);
  });
}

std::vector<Case> cases_sigmoid() {
  // The exponential alone is good to a few units in the last place.
  constexpr double roundings = 8;
  return for_lengths([](std::int64_t n) {
    return Case(label(n), {output(n), input(n, Fill::kinked)},
                [=](const auto& k, auto p) { k.sigmoid(p[0], p[1], n); })
        .aliases(0, 1)
        .terms(roundings);
  });
}

std::vector<Case> cases_scale() {
  return for_lengths([](std::int64_t n) {
    return Case(label(n), {output(n), input(n)},
                [=](const auto& k, auto p) { k.scale(p[0], p[1], -0.3, n); })
        .aliases(0, 1);
  });
}

std::vector<Case> cases_add_bias() {
  std::vector<Case> cases;
  const auto make = [](RowShape s) {
    return Case(label(s), {output(size(s)), input(size(s)), input(s.channels)},
                [=](const auto& k, auto p) { k.add_bias(p[0], p[1], p[2], s); })
        .aliases(0, 1);
  };
  for (const RowShape s : row_shapes()) cases.push_back(make(s));
  constexpr RowShape many = {32 * 112 * 112, 96};
  cases.push_back(make(many).benchmark(size(many)));
  return cases;
}

std::vector<Case> cases_add_bias_backward() {
  std::vector<Case> cases;
  const auto make = [](RowShape s) {
    const auto run = [=](const auto& k, auto p) { k.add_bias_backward(p[0], p[1], s); };
    Case c =
        Case(label(s), {output(s.channels), input(size(s)), input(size(s)), input(s.channels)}, run)
            .terms(static_cast<double>(s.rows))
            .magnitude(run);
    if (size(s) < 100)
      c.gradient = {
          .upstream = 1,
          .pairs = {{0, 3}},
          .forward_size = size(s),
          .forward = [=](const auto& k, double* y, auto p) { k.add_bias(y, p[2], p[3], s); }};
    return c;
  };
  for (const RowShape s : row_shapes()) cases.push_back(make(s));
  constexpr RowShape many = {32 * 112 * 112, 96};
  Case largest = make(many).benchmark(size(many));
  largest.operands[2].size = 0;
  cases.push_back(largest);
  return cases;
}

std::vector<Case> cases_dropout() {
  return for_lengths([](std::int64_t n) {
    const auto run = [=](const auto& k, auto p) { k.dropout(p[0], p[1], 0.3, 12345, n); };
    Case c = Case(label(n), {output(n), input(n), input(n < 100 ? n : 0)}, run).aliases(0, 1);
    if (n < 100)
      c.gradient = elementwise_gradient(
          n, [=](const auto& k, double* y, auto p) { k.dropout(y, p[2], 0.3, 12345, n); });
    return c;
  });
}

std::vector<Case> cases_global_average_pool() {
  std::vector<Case> cases;
  const auto make = [](PoolShape s) {
    const auto run = [=](const auto& k, auto p) { k.global_average_pool(p[0], p[1], s); };
    return Case(label(s), {output(s.batch * s.channels), input(size(s))}, run)
        .terms(static_cast<double>(s.positions))
        .magnitude(run);
  };
  for (const PoolShape s : pool_shapes()) cases.push_back(make(s));
  constexpr PoolShape last = {32, 49, 1280};
  cases.push_back(make(last).benchmark(size(last)));
  return cases;
}

std::vector<Case> cases_global_average_pool_backward() {
  std::vector<Case> cases;
  const auto make = [](PoolShape s) {
    const bool small = size(s) < 200;
    Case c =
        Case(label(s), {output(size(s)), input(s.batch * s.channels), input(small ? size(s) : 0)},
             [=](const auto& k, auto p) { k.global_average_pool_backward(p[0], p[1], s); });
    if (small)
      c.gradient = {
          .upstream = 1,
          .pairs = {{0, 2}},
          .forward_size = s.batch * s.channels,
          .forward = [=](const auto& k, double* y, auto p) { k.global_average_pool(y, p[2], s); }};
    return c;
  };
  for (const PoolShape s : pool_shapes()) cases.push_back(make(s));
  constexpr PoolShape last = {32, 49, 1280};
  cases.push_back(make(last).benchmark(size(last)));
  return cases;
}

// A level of the detector's pyramid in training.
constexpr UpsampleShape level = {32, 32, 32, 64};

std::vector<Case> cases_copy_rows() {
  struct Strides {
    std::int64_t y, x;
  };
  std::vector<Case> cases;
  for (const RowShape& s : row_shapes())
    for (const Strides more : {Strides{0, 0}, {5, 0}, {0, 3}, {2, 8}}) {
      const std::int64_t to = s.channels + more.y, from = s.channels + more.x;
      cases.push_back(Case(label(s) + " " + std::to_string(to) + " from " + std::to_string(from),
                           {in_place(s.rows * to), input(s.rows * from)},
                           [=](const auto& k, auto p) { k.copy_rows(p[0], to, p[1], from, s); }));
    }
  const RowShape wide{32 * 28 * 28, 96};
  cases.push_back(Case("benchmark " + label(wide), {in_place(2 * size(wide)), input(size(wide))},
                       [=](const auto& k, auto p) {
                         k.copy_rows(p[0], 2 * wide.channels, p[1], wide.channels, wide);
                       })
                      .benchmark(0));
  return cases;
}

std::vector<Case> cases_upsample2x() {
  std::vector<Case> cases;
  const auto make = [](UpsampleShape s) {
    return Case(label(s), {output(s.outputs()), input(s.inputs())},
                [=](const auto& k, auto p) { k.upsample2x(p[0], p[1], s); });
  };
  for (const UpsampleShape s : upsample_shapes()) cases.push_back(make(s));
  cases.push_back(make(level).benchmark(static_cast<double>(level.outputs())));
  return cases;
}

std::vector<Case> cases_upsample2x_backward() {
  std::vector<Case> cases;
  const auto make = [](UpsampleShape s) {
    const bool small = s.outputs() < 200;
    const auto run = [=](const auto& k, auto p) { k.upsample2x_backward(p[0], p[1], s); };
    Case c =
        Case(label(s), {output(s.inputs()), input(s.outputs()), input(small ? s.inputs() : 0)}, run)
            .terms(4)
            .magnitude(run);
    if (small)
      c.gradient = {.upstream = 1,
                    .pairs = {{0, 2}},
                    .forward_size = s.outputs(),
                    .forward = [=](const auto& k, double* y, auto p) { k.upsample2x(y, p[2], s); }};
    return c;
  };
  for (const UpsampleShape s : upsample_shapes()) cases.push_back(make(s));
  cases.push_back(make(level).benchmark(static_cast<double>(level.outputs())));
  return cases;
}

}  // namespace maskwatch::kernel_cases
