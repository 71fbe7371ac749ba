// Which frames are searched for faces.
#include "apps/live/detect_schedule.h"

#include <doctest/doctest.h>

#include <string>

using namespace maskwatch;

TEST_CASE("faces are looked for every N-th frame, or as often as there is time") {
  apps::DetectSchedule third(3, 30);
  std::string pattern;
  for (int i = 0; i < 9; ++i) pattern += third.due() ? 'x' : '.';
  CHECK(pattern == "x..x..x..");
  third.missed();
  CHECK(third.due());

  apps::DetectSchedule automatic(0, 30);
  CHECK(automatic.every() == 1);
  automatic.observed(.02);
  CHECK(automatic.every() == 1);
  automatic.observed(.05);
  CHECK(automatic.every() == 2);
  automatic.observed(.5);
  CHECK(automatic.every() == 15);
}
