// The loss of a detector: its gradients against finite differences in double, what it leaves out,
// and the same bytes for any number of threads. ssd_parity_test.py holds it against PyTorch.
#include "nn/ops/detection_loss.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/random.h"
#include "tests/check.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

using Doubles = std::vector<double>;

// Central differences of `loss` at `at`.
Doubles differences(const std::function<double(const Doubles&)>& loss, const Doubles& at) {
  constexpr double kStep = 1e-6;
  Doubles slopes;
  for (std::size_t i = 0; i < at.size(); ++i) {
    Doubles up = at, down = at;
    up[i] += kStep;
    down[i] -= kStep;
    slopes.push_back((loss(up) - loss(down)) / (2 * kStep));
  }
  return slopes;
}

constexpr check::Tolerance kTolerance{1e-8, 1e-6};

Doubles drawn_doubles(std::size_t count, std::uint64_t seed) {
  Random random = Random::of_seed(seed);
  Doubles values(count);
  for (double& value : values) value = random.gaussian();
  return values;
}

const std::vector<SsdTarget> kTargets = {{{10, 12, 32, 40}, 1},
                                         {{60, 50, 120, 118}, 2},
                                         {{40, 4, 46, 12}, kUnknownClass},
                                         {{90, 0, 128, 40}, kIgnoredRegion}};

std::vector<std::vector<SsdTarget>> targets_of(std::size_t pictures) {
  std::vector<std::vector<SsdTarget>> targets(pictures, kTargets);
  targets.back().clear();
  return targets;
}

}  // namespace

TEST_CASE("focal loss: gradient, value, and no infinity") {
  for (const double gamma : {0.0, 1.5, 2.0})
    for (const bool is_face : {false, true})
      for (const double logit : {-7.0, -1.0, 0.0, 0.3, 6.0}) {
        const SsdLossOptions options{.gamma = gamma, .alpha = 0.3};
        double gradient, unused;
        const double loss = focal_loss(&gradient, logit, is_face, options, 2.5);
        const auto slope = differences(
            [&](const Doubles& x) { return focal_loss(&unused, x[0], is_face, options, 1.0); },
            {logit});
        CHECK(gradient == doctest::Approx(2.5 * slope[0]).epsilon(1e-6));
        const double p = 1 / (1 + std::exp(is_face ? -logit : logit));
        const double expected = -(is_face ? 0.3 : 0.7) * std::pow(1 - p, gamma) * std::log(p);
        CHECK(loss == doctest::Approx(expected).epsilon(1e-9));
      }
  for (const float logit : {-1e30f, -200.0f, 200.0f, 1e30f}) {
    float gradient = 0;
    CHECK(std::isfinite(focal_loss(&gradient, logit, true, {}, 1)));
    CHECK(std::isfinite(gradient));
  }
}

TEST_CASE("GIoU: gradient for boxes that overlap, hold one another and lie apart") {
  const Anchor anchor{50, 40, 20, 24};
  for (const CornerBox& target :
       {CornerBox{38, 31, 61, 50}, CornerBox{45, 35, 54, 44}, CornerBox{10, 5, 90, 95},
        CornerBox{80, 70, 95, 99}, CornerBox{62, 20, 90, 60}}) {
    const Doubles code = {0.4, -0.7, 0.3, -0.2};
    Doubles gradient(4), unused(4);
    const double loss = giou_loss(gradient.data(), code.data(), anchor, target, 3.0);
    const auto slopes = differences(
        [&](const Doubles& x) {
          return 3 * giou_loss(unused.data(), x.data(), anchor, target, 1.0);
        },
        code);
    CHECK(check::difference(gradient, slopes, kTolerance) == "");
    CHECK(loss > 0);
    CHECK(loss < 2);
  }
}

TEST_CASE("GIoU: values of the paper's formula") {
  const auto loss = [](const CornerBox& target) {
    const Doubles code(4);
    Doubles gradient(4);
    return giou_loss(gradient.data(), code.data(), {5, 5, 10, 10}, target, 1.0);
  };
  CHECK(loss({0, 0, 10, 10}) == doctest::Approx(0));
  // IoU 50/150, hull 150: 1 - 1/3.
  CHECK(loss({5, 0, 15, 10}) == doctest::Approx(2.0 / 3));
  // Apart: joint 200, hull 300: 1 + 100/300.
  CHECK(loss({20, 0, 30, 10}) == doctest::Approx(4.0 / 3));
}

TEST_CASE("a size at its bound takes no gradient") {
  const std::vector<float> code = {0, 0, 1e6f, -1};
  std::vector<float> gradient(4);
  const float loss =
      giou_loss(gradient.data(), code.data(), {50, 50, 10, 10}, {40, 40, 60, 60}, 1.0);
  CHECK(std::isfinite(loss));
  CHECK(gradient[2] == 0);
  CHECK(gradient[3] != 0);
}

TEST_CASE("the whole loss of a picture: gradient against finite differences") {
  const std::int64_t classes = 3;
  const auto anchors = make_anchors(128, 128, {});
  const auto matches = match_anchors(anchors, kTargets);
  const Doubles outputs = drawn_doubles(anchors.size() * 8, 3);
  const SsdLossOptions options{
      .gamma = 1.5, .alpha = 0.4, .class_weight = 0.7, .weight_of_class = {1, 1, 1.5}};
  constexpr double kFactor = 0.25;
  const auto sum_of = [&](const SsdLossParts& sums) {
    return kFactor * (options.face_weight * sums.face + options.box_weight * sums.box +
                      options.class_weight * sums.classes);
  };
  Doubles gradient(outputs.size()), unused(outputs.size());
  detection_loss(gradient.data(), outputs.data(), classes, anchors, matches, kTargets, options,
                 kFactor);
  // All rows that stand for a face, and every seventh of the others.
  std::vector<std::size_t> looked_at;
  for (std::size_t i = 0; i < anchors.size(); ++i)
    if (matches[i] >= 0 || i % 7 == 0)
      for (std::size_t k = 0; k < 8; ++k) looked_at.push_back(8 * i + k);
  Doubles at, found;
  for (const std::size_t i : looked_at) {
    at.push_back(outputs[i]);
    found.push_back(gradient[i]);
  }
  const auto slopes = differences(
      [&](const Doubles& x) {
        Doubles moved = outputs;
        for (std::size_t i = 0; i < x.size(); ++i) moved[looked_at[i]] = x[i];
        return sum_of(detection_loss(unused.data(), moved.data(), classes, anchors, matches,
                                     kTargets, options, 1.0));
      },
      at);
  CHECK(check::difference(found, slopes, {1e-6, 1e-5}) == "");
}

TEST_CASE("the loss takes what is known: no class of an unknown one, nothing of ignored regions") {
  const auto anchors = make_anchors(128, 128, {});
  const auto count = static_cast<std::int64_t>(anchors.size());
  Tensor outputs = drawn({1, count, 8}, 4);
  outputs.set_requires_grad(true);
  SsdLossParts parts;
  ssd_loss(outputs, anchors, {kTargets}, {}, &parts).backward();
  const auto matches = match_anchors(anchors, kTargets);
  std::int64_t positives = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const int match = matches[static_cast<std::size_t>(i)];
    const float* row = outputs.grad().data() + 8 * i;
    const bool is_face = match >= 0, has_class = is_face && match != 2;
    positives += is_face;
    CHECK((row[4] != 0) == (match != kNothing));
    // An edge that moves within the face's changes nothing, but then another does.
    CHECK(std::any_of(row, row + 4, [](float g) { return g != 0; }) == is_face);
    CHECK((row[5] != 0) == has_class);
  }
  CHECK(parts.positives == positives);
  CHECK(std::count(matches.begin(), matches.end(), kNothing) > 0);
  CHECK(std::count(matches.begin(), matches.end(), 2) > 0);
}

TEST_CASE("a batch without a face has a loss and a gradient") {
  const auto anchors = make_anchors(64, 64, {});
  Tensor outputs = drawn({2, static_cast<std::int64_t>(anchors.size()), 6}, 4);
  outputs.set_requires_grad(true);
  SsdLossParts parts;
  const Tensor loss = ssd_loss(outputs, anchors, {{}, {}}, {}, &parts);
  loss.backward();
  CHECK(parts.positives == 0);
  CHECK(parts.box == 0);
  CHECK(loss.item() == doctest::Approx(2 * parts.face));
  CHECK(loss.item() > 0);
  CHECK(outputs.grad().data()[4] > 0);
}

TEST_CASE(
    "loss and gradient: the same bytes on any number of threads, times what comes from above") {
  const auto anchors = make_anchors(128, 96, {});
  const auto count = static_cast<std::int64_t>(anchors.size());
  const auto run = [&](int threads, float above) {
    const Threads scope(threads);
    Tensor outputs = drawn({5, count, 8}, 9);
    outputs.set_requires_grad(true);
    const Tensor loss = ssd_loss(outputs, anchors, targets_of(5));
    loss.backward(Tensor::full({1}, above));
    return std::pair(loss.item(), outputs.grad().values());
  };
  const auto one = run(1, 1);
  CHECK(run(2, 1) == one);
  CHECK(run(5, 1) == one);
  std::vector<double> twice;
  for (const float value : one.second) twice.push_back(2.0 * value);
  CHECK(check::difference(run(2, 2).second, twice, {0, 1e-6}) == "");
}

TEST_CASE("what does not fit is named") {
  const auto anchors = make_anchors(64, 64, {});
  const auto count = static_cast<std::int64_t>(anchors.size());
  const auto fault = [&](const Shape& shape, const std::vector<std::vector<SsdTarget>>& targets,
                         const SsdLossOptions& options = {}) {
    return message_of<std::invalid_argument>(
        [&] { ssd_loss(Tensor::zeros(shape), anchors, targets, options); });
  };
  const std::string size = std::to_string(count);
  CHECK(fault({1, count, 8}, {{}, {}}) ==
        "ssd_loss: outputs [1, " + size + ", 8] for a batch of 2 and " + size + " anchors");
  CHECK(fault({1, 7, 8}, {{}}) ==
        "ssd_loss: outputs [1, 7, 8] for a batch of 1 and " + size + " anchors");
  CHECK(fault({1, count, 5}, {{}}) ==
        "ssd_loss: outputs [1, " + size + ", 5] for a batch of 1 and " + size + " anchors");
  CHECK(fault({1, count, 8}, {{{{0, 0, 9, 9}, 3}}}) == "ssd_loss: label 3 of 3 classes");
  CHECK(fault({1, count, 8}, {{{{0, 0, 9, 9}, -3}}}) == "ssd_loss: label -3 of 3 classes");
  CHECK(fault({1, count, 8}, {{}}, {.weight_of_class = {1, 2}}) ==
        "ssd_loss: 2 weights for 3 classes");
}
