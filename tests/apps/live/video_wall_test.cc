// Where pictures lie on a wall.
#include "apps/live/video_wall.h"

#include <doctest/doctest.h>

using namespace maskwatch;

TEST_CASE("cells of a wall do not overlap and fill its width") {
  for (int count = 1; count <= 20; ++count) {
    CAPTURE(count);
    const auto cells = apps::wall_cells(count);
    REQUIRE(static_cast<int>(cells.size()) == count);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      CHECK(cells[i].x >= 0);
      CHECK(cells[i].x + cells[i].width <= apps::kWallWidth);
      CHECK(cells[i].height == cells[i].width * 9 / 16);
      for (std::size_t j = 0; j < i; ++j)
        CHECK((cells[j].y + cells[j].height <= cells[i].y ||
               cells[j].x + cells[j].width <= cells[i].x));
    }
  }
  CHECK(apps::wall_cells(2)[1].x == 640);
  CHECK(apps::wall_cells(4)[3].y == 360);
  CHECK(apps::wall_cells(5)[4].width == 426);
}
