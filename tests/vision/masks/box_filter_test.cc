#include "vision/masks/box_filter.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/vision/masks/moving_boxes.h"

using namespace maskwatch;

using namespace moving_boxes;
using vision::Box;

TEST_CASE("a filter learns a speed, and foretells where the box will be") {
  vision::BoxFilter filter(centred(100, 100, 50));
  for (int i = 1; i <= 30; ++i) {
    filter.predict(kFrame);
    filter.correct(centred(100 + 90 * i * kFrame, 100 - 30 * i * kFrame, 50));
  }
  filter.predict(1);
  const Box box = filter.box();
  CHECK(box.x + box.width / 2 == doctest::Approx(280).epsilon(.02));
  CHECK(box.y + box.height / 2 == doctest::Approx(40).epsilon(.05));
  CHECK(box.height == doctest::Approx(50).epsilon(.02));
}

TEST_CASE("a filter wavers less than what it is shown") {
  Random random({2});
  vision::BoxFilter filter(centred(100, 100, 50));
  double seen_error = 0, filter_error = 0;
  for (int i = 1; i <= 300; ++i) {
    const Box truth = centred(100 + 40 * i * kFrame, 100, 50), seen = jitter(truth, random, .05);
    filter.predict(kFrame);
    filter.correct(seen);
    if (i <= 10) continue;
    seen_error += std::abs(seen.y - truth.y);
    filter_error += std::abs(filter.box().y - truth.y);
  }
  CHECK(filter_error < .7 * seen_error);
}
