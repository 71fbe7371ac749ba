// An inference plan against the eager network in evaluation mode, its memory, and its bytes for any
// batch and any number of threads.
#include "nn/plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "nn/classifier.h"
#include "nn/memory.h"
#include "nn/ops.h"
#include "tests/check.h"
#include "tests/nn/allocations.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

// A network as training leaves it: statistics that are not 0 and 1, so that folding matters.
std::unique_ptr<Classifier> trained(double width, int size, Padding padding = Padding::tf,
                                    HeadKind head = HeadKind::mask) {
  ClassifierOptions options;
  options.backbone.width = width;
  options.backbone.input_size = size;
  options.backbone.padding = padding;
  options.head = head;
  if (head != HeadKind::none) options.labels = {"a", "b", "c"};
  auto model = std::make_unique<Classifier>(options, 5);
  std::uint64_t seed = 100;
  for (const auto& [name, tensor] : model->state_dict()) {
    const Tensor noise = drawn(tensor.shape(), seed++, 0.2);
    for (std::int64_t i = 0; i < tensor.count(); ++i) {
      if (name.ends_with("variance") || name.ends_with("gamma"))
        tensor.data()[i] = 1 + std::tanh(noise.data()[i]);
      if (name.ends_with("mean") || name.ends_with("beta")) tensor.data()[i] = noise.data()[i];
    }
  }
  model->eval();
  return model;
}

Tensor pictures(std::int64_t batch, int size, std::uint64_t seed = 1) {
  return drawn({batch, size, size, 3}, seed, 0.5);
}

std::vector<float> run(Plan& plan, const Tensor& x) {
  plan.run(x.data(), x.dim(0));
  return {plan.output(), plan.output() + x.dim(0) * plan.output_shape().count()};
}

}  // namespace

TEST_CASE("plan equals eager: widths, sizes and paddings") {
  struct Network {
    double width;
    int size;
    Padding padding;
  };
  // Every width, every size and both paddings, in pairs that keep the test short.
  const Network networks[] = {
      {0.35, 33, Padding::tf}, {0.35, 224, Padding::symmetric}, {0.5, 64, Padding::symmetric},
      {0.5, 224, Padding::tf}, {1.0, 33, Padding::symmetric},   {1.0, 64, Padding::tf},
      {1.0, 96, Padding::tf},  {1.4, 96, Padding::symmetric},   {1.4, 33, Padding::tf}};
  for (const Network& network : networks) {
    CAPTURE(network.width);
    CAPTURE(network.size);
    const auto model = trained(network.width, network.size, network.padding, HeadKind::none);
    const Tensor x = pictures(2, network.size);
    const Tensor eager = model->forward(x);
    Plan plan = model->compile(2);
    CHECK(plan.output_shape() == ActivationShape{1, 1, eager.dim(1)});
    // Folding rounds each weight and each bias once more, in each of 53 layers: relative to the
    // largest feature a few times 53 · 2^-24 = 3e-6, of which cancellation between layers takes
    // some.
    double largest = 0;
    const auto values = eager.values();
    for (const float v : values) largest = std::max(largest, std::abs(double{v}));
    REQUIRE(largest > 0.1);
    CHECK(check::difference(run(plan, x), std::vector<double>(values.begin(), values.end()),
                            {.absolute = 2e-5 * largest}) == "");
  }
}

TEST_CASE("a plan's probabilities are the softmax of the eager logits, for both heads") {
  for (const HeadKind head : {HeadKind::mask, HeadKind::classifier}) {
    const auto model = trained(0.35, 64, Padding::tf, head);
    const Tensor x = pictures(3, 64), eager = softmax(model->forward(x));
    Plan plan = model->compile(3);
    const auto values = eager.values();
    CHECK(check::difference(run(plan, x), std::vector<double>(values.begin(), values.end()),
                            {1e-5, 1e-4}) == "");
  }
}

TEST_CASE("run_all: any number of pictures in pieces, every output whole") {
  const auto model = trained(0.35, 64);
  Graph graph({64, 64, 3});
  const Value early = model->backbone().trace(graph, graph.input(), 0, 4);
  graph.output(early);
  graph.output(model->backbone().trace(graph, early, 4, 15));
  const Tensor x = pictures(5, 64);
  Plan pieces(fuse(graph), 2), whole(fuse(graph), 5);
  whole.run(x.data(), 5);
  const std::vector<Tensor> results = pieces.run_all(x);
  REQUIRE(results.size() == 2);
  for (int i = 0; i < 2; ++i) {
    const Tensor& result = results[static_cast<std::size_t>(i)];
    const ActivationShape& shape = whole.output_shape(i);
    CHECK(result.shape() == Shape{5, shape.height, shape.width, shape.channels});
    CHECK(std::equal(result.data(), result.data() + result.count(), whole.output(i)));
  }
  CHECK(message_of<std::invalid_argument>([&] { pieces.run_all(pictures(1, 32)); }) ==
        "Plan::run_all: [1, 32, 32, 3] for a plan of pictures [64, 64, 3]");
}

TEST_CASE("a batch gives the bytes of its pictures one by one, for 1, 2 and 3 threads") {
  const auto model = trained(0.35, 64);
  const Tensor x = pictures(5, 64);
  std::vector<float> expected;
  {
    const Threads one(1);
    Plan plan = model->compile(1);
    for (int i = 0; i < 5; ++i) {
      plan.run(x.data() + i * 64 * 64 * 3, 1);
      expected.insert(expected.end(), plan.output(), plan.output() + 3);
    }
  }
  for (const int compiled_for : {1, 2, 3})
    for (const int run_with : {1, 2, 3}) {
      CAPTURE(compiled_for);
      CAPTURE(run_with);
      set_threads(compiled_for);
      Plan plan = model->compile(5), single = model->compile(1);
      const Threads threads(run_with);
      const auto found = run(plan, x);
      CHECK(std::memcmp(found.data(), expected.data(), 15 * sizeof(float)) == 0);
      for (int i = 0; i < 5; ++i) {
        single.run(x.data() + i * 64 * 64 * 3, 1);
        CHECK(std::memcmp(single.output(), &expected[static_cast<std::size_t>(3 * i)], 12) == 0);
      }
    }
}

TEST_CASE(
    "a plan holds no more arenas than pictures or threads, and any number of threads runs it") {
  const auto model = trained(0.35, 64);
  const Tensor x = pictures(8, 64);
  const auto memory_of = [&](std::int64_t capacity, int allowed) {
    const Threads threads(allowed);
    const std::size_t before = memory_use().live;
    const Plan plan = model->compile(capacity);
    return static_cast<std::int64_t>(memory_use().live - before);
  };
  Plan one = model->compile(1);
  const std::int64_t arena = one.arena_bytes();
  CHECK(memory_of(1, 8) < memory_of(1, 1) + arena / 2);
  CHECK(memory_of(2, 8) < memory_of(2, 2) + arena / 2);
  CHECK(memory_of(8, 2) < memory_of(8, 1) + 3 * arena / 2);
  std::vector<float> expected;
  for (int i = 0; i < 8; ++i) {
    one.run(x.data() + i * 64 * 64 * 3, 1);
    expected.insert(expected.end(), one.output(), one.output() + 3);
  }
  for (const int compiled_for : {1, 2, 5}) {
    set_threads(compiled_for);
    Plan plan = model->compile(8);
    for (const int run_with : {8, 3, 1}) {
      const Threads threads(run_with);
      CHECK(run(plan, x) == expected);
    }
  }
}

TEST_CASE("two plans run from two threads at once") {
  const auto model = trained(0.35, 64);
  const Tensor x = pictures(4, 64);
  Plan first = model->compile(4), second = model->compile(4);
  const auto expected = run(first, x);
  const Threads threads(3);
  const auto repeat = [&](Plan& plan, bool& same) {
    same = true;
    for (int i = 0; i < 20; ++i) same = same && run(plan, x) == expected;
  };
  bool same_first = false, same_second = false;
  std::thread other([&] { repeat(second, same_second); });
  repeat(first, same_first);
  other.join();
  CHECK(same_first);
  CHECK(same_second);
}

TEST_CASE("a run allocates nothing") {
  const auto model = trained(0.35, 64);
  for (const std::int64_t batch : {1, 4}) {
    Plan plan = model->compile(4);
    const Tensor x = pictures(batch, 64);
    plan.run(x.data(), batch);  // the pool starts its threads
    const MemoryUse memory = memory_use();
    const Allocations before = allocations();
    for (int i = 0; i < 3; ++i) plan.run(x.data(), batch);
    CHECK(allocations().calls == before.calls);
    CHECK(memory_use().live == memory.live);
    CHECK(memory_use().pooled == memory.pooled);
  }
}

TEST_CASE("nothing is read from the arena before it was written") {
  // The arena is taken from the pool: poison what lies there, and what an earlier run left.
  const auto model = trained(0.35, 64);
  const Tensor x = pictures(1, 64);
  Plan clean = model->compile(1);
  const auto expected = run(clean, x);
  release_pool();
  const std::int64_t arena = clean.arena_bytes() / 4;
  Tensor::full({arena}, std::numeric_limits<float>::quiet_NaN());
  Plan poisoned = model->compile(1);
  CHECK(run(poisoned, x) == expected);
  const Tensor nan = Tensor::full({1, 64, 64, 3}, std::numeric_limits<float>::quiet_NaN());
  run(poisoned, nan);
  CHECK(run(poisoned, x) == expected);
}

TEST_CASE("values that live at once lie apart, those that do not share the arena") {
  // A chain with long residuals: a is read again at the end, so b and c must not touch it.
  constexpr std::int64_t side = 8, channels = 16, count = side * side * channels;
  Graph graph({side, side, channels});
  const Value a = graph.add(op::Activate{Activation::relu}, {graph.input()});
  Value b = a;
  for (int i = 0; i < 6; ++i) b = graph.add(op::Add{}, {b, b});
  const Value c = graph.add(op::Add{}, {b, a});
  graph.output(graph.add(op::Add{}, {c, a}));
  Plan plan(graph, 1);
  const Tensor x = drawn({1, side, side, channels}, 1);
  plan.run(x.data(), 1);
  for (std::int64_t i = 0; i < count; ++i) {
    const float once = std::max(x.data()[i], 0.0f);
    CHECK(plan.output()[i] == 64 * once + once + once);
  }
  CHECK(plan.arena_bytes() == 3 * count * 4);
}

TEST_CASE("a plan holds an arena for each picture that may run at a time, and the results") {
  const Threads scope(3);
  Graph graph({8, 8, 4});
  graph.output(
      graph.add(op::Sigmoid{}, {graph.add(op::Activate{Activation::relu}, {graph.input()})}));
  for (const std::int64_t capacity : {1, 2, 3, 8}) {
    const Plan plan(graph, capacity);
    CHECK(plan.arena_bytes() == 8 * 8 * 4 * 4);
    CHECK(plan.held_bytes() ==
          std::min<std::int64_t>(capacity, 3) * plan.arena_bytes() + capacity * 8 * 8 * 4 * 4);
  }
}

TEST_CASE("several outputs, one of them read again by later layers") {
  Graph graph({1, 1, 4});
  const Value a = graph.add(op::Activate{Activation::relu}, {graph.input()});
  const Value b = graph.add(op::Add{}, {a, a});
  graph.output(b);
  graph.output(a);
  graph.output(graph.add(op::Softmax{}, {b}));
  Plan plan(graph, 3);
  const Tensor x = Tensor::from({2, 4}, {1, -2, 3, -4, 0, 0, -1, 0});
  plan.run(x.data(), 2);
  CHECK(std::vector<float>(plan.output(0), plan.output(0) + 8) ==
        std::vector<float>{2, 0, 6, 0, 0, 0, 0, 0});
  CHECK(std::vector<float>(plan.output(1), plan.output(1) + 8) ==
        std::vector<float>{1, 0, 3, 0, 0, 0, 0, 0});
  CHECK(plan.output(2)[4] == 0.25f);
}

TEST_CASE("wrong plans and wrong runs are named") {
  using Fault = std::invalid_argument;
  const auto softmax_of = [](ActivationShape input) {
    Graph graph(input);
    graph.output(graph.add(op::Softmax{}, {graph.input()}));
    return graph;
  };
  CHECK(contains(message_of<Fault>([] { Plan(Graph({8, 8, 3}), 1); }), "no output"));
  CHECK(contains(message_of<Fault>([&] { Plan(softmax_of({0, 8, 3}), 1); }), "[0, 8, 3]"));
  CHECK(contains(message_of<Fault>([&] { Plan(softmax_of({8, 8, 3}), 0); }), "capacity 0"));
  Plan plan(softmax_of({1, 1, 4}), 2);
  const Tensor x = Tensor::zeros({3, 4});
  CHECK(
      contains(message_of<Fault>([&] { plan.run(x.data(), 3); }), "batch 3 of a plan for 1 to 2"));
  CHECK_THROWS_AS(plan.run(x.data(), 0), Fault);
  CHECK_THROWS_AS(plan.output(1), std::out_of_range);
}
