// Where thumbnails stand on a contact sheet.
#include "apps/common/contact_sheet.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <stdexcept>

using namespace maskwatch;

namespace {

vision::Image plain(int width, int height, std::uint8_t value) {
  vision::Image image(width, height);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

}  // namespace

TEST_CASE("a thumbnail keeps its proportions") {
  const vision::Image wide = apps::thumbnail(plain(100, 50, 7), 20);
  CHECK(wide.width == 20);
  CHECK(wide.height == 10);
  const vision::Image line = apps::thumbnail(plain(1, 90, 7), 30);
  CHECK(line.width == 1);
  CHECK(line.height == 30);
}

TEST_CASE("thumbnails stand in the middle of their squares, in rows of ten, sixty at most") {
  std::vector<vision::Image> images;
  for (int i = 0; i < 70; ++i) images.push_back(plain(8, 4, static_cast<std::uint8_t>(100 + i)));
  const vision::Image sheet = apps::contact_sheet(images, 8);
  CHECK(sheet.width == 80);
  CHECK(sheet.height == 48);
  CHECK(sheet.at(0, 1)[0] == 0);
  CHECK(sheet.at(0, 2)[0] == 100);
  CHECK(sheet.at(0, 5)[0] == 100);
  CHECK(sheet.at(0, 6)[0] == 0);
  CHECK(sheet.at(79, 4)[0] == 109);
  CHECK(sheet.at(8, 12)[0] == 111);
  CHECK(sheet.at(79, 44)[0] == 159);
  images.resize(3);
  CHECK(apps::contact_sheet(images, 8).width == 24);
  CHECK_THROWS_AS(apps::contact_sheet({}, 8), std::invalid_argument);
}
