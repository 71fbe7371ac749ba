#include "vision/masks/box_filter.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::vision {
namespace {

// Standard deviations in box heights and seconds, for centre and size: of a detector's box around
// the true one, of the speed of a face when it is first seen, and of the change of its speed within
// a second.
constexpr double kSeen[2] = {.04, .06};
constexpr double kFirstSpeed[2] = {2., .3};
constexpr double kPush[2] = {1., .15};
// Seconds in which the speed of a size falls to 1/e: what grows does not go on growing for long.
constexpr double kSizeMemory = .5;

int kind(std::size_t axis) { return axis < 2 ? 0 : 1; }

std::array<double, 4> numbers(const Box& box) {
  return {box.x + box.width / 2., box.y + box.height / 2., box.width, box.height};
}

double square(double x) { return x * x; }

}  // namespace

BoxFilter::BoxFilter(const Box& seen) {
  const auto values = numbers(seen);
  const double height = std::max(1., values[3]);
  for (std::size_t i = 0; i < 4; ++i) {
    axes_[i].state = {values[i], 0};
    axes_[i].covariance =
        Eigen::Vector2d(square(kSeen[kind(i)] * height), square(kFirstSpeed[kind(i)] * height))
            .asDiagonal();
  }
}

double BoxFilter::unit() const { return std::max(1., axes_[3].state(0)); }

void BoxFilter::predict(double seconds) {
  if (!(seconds > 0)) return;
  const double height = unit();
  for (std::size_t i = 0; i < 4; ++i) {
    const double kept = kind(i) == 0 ? 1 : std::exp(-seconds / kSizeMemory);
    const double way = kind(i) == 0 ? seconds : kSizeMemory * (1 - kept);
    Eigen::Matrix2d step, push;
    step << 1, way, 0, kept;
    push << square(seconds) * seconds / 3, square(seconds) / 2, square(seconds) / 2, seconds;
    Axis& axis = axes_[i];
    axis.state = step * axis.state;
    axis.covariance =
        step * axis.covariance * step.transpose() + square(kPush[kind(i)] * height) * push;
  }
  for (std::size_t i = 2; i < 4; ++i) axes_[i].state(0) = std::max(1., axes_[i].state(0));
}

void BoxFilter::correct(const Box& seen) {
  const auto values = numbers(seen);
  const double height = unit();
  for (std::size_t i = 0; i < 4; ++i) {
    Axis& axis = axes_[i];
    const double spread = axis.covariance(0, 0) + square(kSeen[kind(i)] * height);
    const Eigen::Vector2d gain = axis.covariance.col(0) / spread;
    axis.state += gain * (values[i] - axis.state(0));
    axis.covariance -= (gain * axis.covariance.row(0)).eval();
  }
}

Box BoxFilter::box(double ahead) const {
  const double grown = kSizeMemory * (1 - std::exp(-std::max(0., ahead) / kSizeMemory));
  const auto at = [&](std::size_t axis, double way) {
    return axes_[axis].state(0) + way * axes_[axis].state(1);
  };
  const double width = std::max(1., at(2, grown)), height = std::max(1., at(3, grown));
  return {static_cast<float>(at(0, ahead) - width / 2),
          static_cast<float>(at(1, ahead) - height / 2), static_cast<float>(width),
          static_cast<float>(height)};
}

BoxFilter::Surprise BoxFilter::surprise(const Box& seen) const {
  const auto values = numbers(seen);
  const double height = unit();
  Surprise out;
  for (std::size_t i = 0; i < 4; ++i) {
    const double spread = axes_[i].covariance(0, 0) + square(kSeen[kind(i)] * height);
    out.distance += square(values[i] - axes_[i].state(0)) / spread;
    out.log_spread += std::log(spread / square(height));
  }
  return out;
}

}  // namespace maskwatch::vision
