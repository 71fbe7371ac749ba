// Where a box is and how it moves, from noisy sightings of it: a Kalman filter with constant
// velocity on centre and size (Bewley et al., "Simple online and realtime tracking", 2016), the
// four numbers each on its own, so that times between sightings may differ. Noise is given in
// heights of the box: a near face and a far one behave alike.
#pragma once

#include <Eigen/Core>
#include <array>

#include "vision/image/geometry.h"

namespace maskwatch::vision {

class BoxFilter {
 public:
  explicit BoxFilter(const Box& seen);

  // `seconds` on; 0 or less does nothing.
  void predict(double seconds);
  void correct(const Box& seen);

  // Where the box is `ahead` seconds on (or back, below 0).
  Box box(double ahead = 0) const;

  // How far `seen` is from what is expected: the square of the Mahalanobis distance over the four
  // numbers, and the logarithm of the determinant of its covariance in box heights.
  struct Surprise {
    double distance = 0;
    double log_spread = 0;
  };
  Surprise surprise(const Box& seen) const;

 private:
  struct Axis {
    Eigen::Vector2d state;  // position, velocity
    Eigen::Matrix2d covariance;
  };
  double unit() const;  // one box height in pixels

  std::array<Axis, 4> axes_;  // centre x, centre y, width, height
};

}  // namespace maskwatch::vision
