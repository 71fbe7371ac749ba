#include "vision/haar/haar_group.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "base/random.h"

using namespace maskwatch;

namespace {

using Row = std::array<int, 5>;  // x, y, width, height, windows

std::vector<Row> grouped(const std::vector<vision::HaarWindow>& windows, int threshold) {
  std::vector<Row> rows;
  for (const vision::HaarGroup& g : vision::group_windows(windows, threshold, 0.2)) {
    rows.push_back({g.box.x, g.box.y, g.box.width, g.box.height, g.windows});
  }
  return rows;
}

const std::vector<vision::HaarWindow> kWindows = {
    {297, 122, 79, 79}, {306, 117, 77, 77}, {304, 117, 84, 84}, {101, 104, 50, 50},
    {104, 97, 52, 52},  {200, 296, 65, 65}, {316, 149, 31, 31}, {98, 97, 46, 46},
    {309, 132, 38, 38}, {210, 302, 66, 66}, {200, 299, 59, 59}, {96, 99, 49, 49},
    {195, 304, 64, 64}, {309, 132, 40, 40}, {100, 98, 52, 52},  {103, 99, 46, 46},
    {294, 114, 76, 76}, {21, 19, 31, 31},   {199, 304, 60, 60}, {103, 99, 51, 51},
    {320, 148, 31, 31}, {103, 98, 48, 48},  {317, 148, 32, 32}, {319, 148, 30, 30},
    {310, 133, 39, 39}, {296, 118, 76, 76}, {305, 117, 76, 76}, {319, 150, 32, 32},
    {98, 97, 52, 52},   {20, 18, 28, 28}};

// By comparing every window with every other.
std::vector<int> plain_classes(const std::vector<vision::HaarWindow>& windows, double eps) {
  const auto alike = [&](const vision::HaarWindow& a, const vision::HaarWindow& b) {
    const double delta = eps * (std::min(a.width, b.width) + std::min(a.height, b.height)) * 0.5;
    return std::abs(a.x - b.x) <= delta && std::abs(a.y - b.y) <= delta &&
           std::abs(a.x + a.width - b.x - b.width) <= delta &&
           std::abs(a.y + a.height - b.y - b.height) <= delta;
  };
  std::vector<int> label(windows.size(), -1);
  int next = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    if (label[i] >= 0) continue;
    std::vector<std::size_t> open{i};
    label[i] = next++;
    while (!open.empty()) {
      const std::size_t at = open.back();
      open.pop_back();
      for (std::size_t j = 0; j < windows.size(); ++j)
        if (label[j] < 0 && alike(windows[at], windows[j])) {
          label[j] = label[i];
          open.push_back(j);
        }
    }
  }
  return label;
}

}  // namespace

// Expectations printed by opencv-python-headless 4.14.0: cv2.groupRectangles(windows, threshold,
// 0.2).
TEST_CASE("windows are grouped as OpenCV groups them") {
  const std::vector<Row> better = {
      {300, 118, 78, 78, 6}, {101, 99, 50, 50, 9}, {201, 301, 63, 63, 5}};
  std::vector<Row> all = better;
  all.push_back({20, 18, 30, 30, 2});
  CHECK(grouped(kWindows, 1) == all);
  CHECK(grouped(kWindows, 2) == better);
  CHECK(grouped(kWindows, 4) == better);
}

TEST_CASE("without a threshold every window stands for itself") {
  const std::vector<Row> rows = grouped(kWindows, 0);
  REQUIRE(rows.size() == kWindows.size());
  CHECK(rows.front() == Row{297, 122, 79, 79, 1});
  CHECK(grouped({}, 0).empty());
  CHECK(grouped({}, 3).empty());
}

TEST_CASE("likeness spans: windows far apart join through those between them") {
  std::vector<vision::HaarWindow> chain;
  for (int i = 0; i < 50; ++i) chain.push_back({4 * i, 0, 40, 40});
  CHECK(grouped(chain, 2) == std::vector<Row>{{98, 0, 40, 40, 50}});
}

TEST_CASE("windows are in the classes that comparing each with each gives") {
  Random random{5};
  for (const double eps : {0.0, 0.1, 0.2, 0.7}) {
    for (int round = 0; round < 60; ++round) {
      std::vector<vision::HaarWindow> windows;
      const int place = 40 + 10 * round;
      for (int i = 0; i < 150; ++i) {
        const int width = 20 + 3 * random.below(1 + round % 12);
        const int height = round % 2 == 0 ? width : 20 + 2 * random.below(8);
        windows.push_back({random.below(place) - 20, random.below(place) - 20, width, height});
      }
      CHECK(vision::window_classes(windows, eps) == plain_classes(windows, eps));
    }
  }
}

TEST_CASE("a million windows that are all alike are grouped in one") {
  std::vector<vision::HaarWindow> windows;
  for (int size = 40; size <= 44; ++size)
    for (int y = 0; y < 450; ++y)
      for (int x = 0; x < 450; ++x) windows.push_back({x, y, size, size});
  const std::vector<Row> rows = grouped(windows, 3);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0][4] == 5 * 450 * 450);
}

TEST_CASE("more groups than a picture can hold are refused") {
  std::vector<vision::HaarWindow> windows;
  for (int i = 0; i < 21000; ++i)
    for (int twice = 0; twice < 2; ++twice) windows.push_back({100 * i, 0, 30, 30});
  CHECK_THROWS_AS(grouped(windows, 1), std::runtime_error);
  windows.resize(8000);
  CHECK(grouped(windows, 1).size() == 4000);
}
