// The curves stand where the figures say; values that are not finite leave gaps.
#include "apps/training/plot.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "vision/image/image.h"

using namespace maskwatch;

namespace {

// Loss falls from 1 to 0.1, accuracy rises; validation the other way round.
apps::History crossing_curves(int epochs) {
  apps::History history;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const double x = epochs > 1 ? (epoch - 1.0) / (epochs - 1) : 0;
    history.push_back({epoch, 1 - 0.9 * x, 0.5 + 0.4 * x, 0.1 + 0.9 * x, 0.9 - 0.4 * x, 1e-4, 1});
  }
  return history;
}

// Mean row of the pixels near one of the two curve colours in columns [x0, x1); NaN without any.
double mean_row(const vision::Image& image, int x0, int x1, bool training) {
  const int colour[2][3] = {{0x1b, 0x6c, 0xa8}, {0xd9, 0x5f, 0x02}};
  double sum = 0;
  int count = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = x0; x < x1; ++x) {
      int distance = 0;
      for (int c = 0; c < 3; ++c) distance += std::abs(image.at(x, y)[c] - colour[training][c]);
      if (distance > 30) continue;
      sum += y;
      ++count;
    }
  }
  return count > 0 ? sum / count : std::nan("");
}

}  // namespace

TEST_CASE("four curves stand where the figures say") {
  const vision::Image image = apps::draw_history(crossing_curves(20));
  CHECK(image.width == 1280);
  CHECK(image.height == 560);
  // The loss stands on the left half, the accuracy on the right one; columns clear of the keys.
  CHECK(mean_row(image, 100, 200, true) < 150);
  CHECK(mean_row(image, 100, 200, false) > 400);
  CHECK(mean_row(image, 740, 840, true) > 400);
  CHECK(mean_row(image, 740, 840, false) < 150);
  CHECK(mean_row(image, 330, 345, true) > 230);
  CHECK(mean_row(image, 330, 345, true) < 330);
}

TEST_CASE("one epoch is a marker on both halves, many are lines") {
  const vision::Image one = apps::draw_history(crossing_curves(1));
  CHECK_FALSE(std::isnan(mean_row(one, 340, 360, true)));
  CHECK_FALSE(std::isnan(mean_row(one, 980, 1000, false)));
  CHECK(std::isnan(mean_row(one, 100, 300, true)));
  CHECK(mean_row(apps::draw_history(crossing_curves(500)), 100, 200, true) < 150);
}

TEST_CASE("values that are not finite leave gaps") {
  apps::History lost = crossing_curves(21);
  for (std::size_t i = 5; i < 16; ++i) lost[i].loss = std::numeric_limits<double>::infinity();
  for (apps::EpochRecord& record : lost) record.validation_loss = std::nan("");
  const vision::Image gap = apps::draw_history(lost);
  CHECK_FALSE(std::isnan(mean_row(gap, 100, 190, true)));
  CHECK(std::isnan(mean_row(gap, 240, 420, true)));
  CHECK_FALSE(std::isnan(mean_row(gap, 500, 610, true)));
  CHECK(std::isnan(mean_row(gap, 100, 420, false)));
  CHECK_FALSE(std::isnan(mean_row(gap, 740, 840, true)));

  // A value between two gaps shows although there are too many epochs for markers.
  apps::History alone = crossing_curves(401);
  for (apps::EpochRecord& record : alone)
    if (record.epoch != 201) record.loss = std::nan("");
  const vision::Image one = apps::draw_history(alone);
  CHECK_FALSE(std::isnan(mean_row(one, 340, 360, true)));
  CHECK(std::isnan(mean_row(one, 100, 330, true)));
}

TEST_CASE("without an epoch there is no plot") {
  CHECK_THROWS_AS(apps::draw_history({}), std::invalid_argument);
}
