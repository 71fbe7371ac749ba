#include "apps/masking/augmented_view.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "vision/drawn/face_generator.h"

using namespace maskwatch;

namespace {

using apps::AugmentedView;
using vision::Image;

Image gradient(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.at(x, y)[0] = static_cast<std::uint8_t>(x);
      image.at(x, y)[1] = static_cast<std::uint8_t>(y);
      image.at(x, y)[2] = 100;
    }
  return image;
}

AugmentedView view_of(const vision::Box& box) {
  AugmentedView view;
  view.box = box;
  return view;
}

double mean(const Image& image, int channel) {
  double sum = 0;
  for (std::size_t i = static_cast<std::size_t>(channel); i < image.pixels.size(); i += 3)
    sum += image.pixels[i];
  return 3 * sum / static_cast<double>(image.pixels.size());
}

}  // namespace

TEST_CASE("a view cuts out its box and mirrors what lies beyond the photograph") {
  const Image photo = gradient(40, 30);
  const Image inside = apps::render_view(photo, view_of({5, 7, 10, 12}));
  REQUIRE(inside.width == 10);
  REQUIRE(inside.height == 12);
  CHECK(inside.at(0, 0)[0] == 5);
  CHECK(inside.at(9, 11)[1] == 18);
  const Image beyond = apps::render_view(photo, view_of({-3, -50, 46, 200}));
  CHECK(beyond.at(0, 50)[0] == 2);    // -3 is the third from the edge
  CHECK(beyond.at(2, 50)[0] == 0);    // -1
  CHECK(beyond.at(3, 50)[0] == 0);    // 0
  CHECK(beyond.at(43, 50)[0] == 39);  // 40
  CHECK(beyond.at(45, 50)[0] == 37);
  CHECK(beyond.at(3, 49)[1] == 0);  // row -1
  CHECK(beyond.at(3, 0)[1] == 10);  // row -50 of 30: once round is 10
}

TEST_CASE("a view shrinks, darkens, tints and greys") {
  const Image photo = gradient(200, 100);
  AugmentedView view = view_of({0, 0, 200, 100});
  CHECK(apps::render_view(photo, view).pixels == photo.pixels);
  view.longest = 50;
  const Image small = apps::render_view(photo, view);
  CHECK(small.width == 50);
  CHECK(small.height == 25);
  view = view_of({0, 0, 200, 100});
  view.gamma = 2;
  CHECK(apps::render_view(photo, view).at(0, 0)[2] == std::lround(255 * std::pow(100 / 255., 2)));
  view.gamma = 1;
  view.warmth = 1;
  CHECK(mean(apps::render_view(photo, view), 0) > mean(photo, 0) * 1.1);
  CHECK(mean(apps::render_view(photo, view), 2) < mean(photo, 2) * .9);
  view.saturation = 0;
  const Image grey = apps::render_view(photo, view);
  for (std::size_t i = 0; i < grey.pixels.size(); i += 3)
    CHECK((grey.pixels[i] == grey.pixels[i + 1] && grey.pixels[i] == grey.pixels[i + 2]));
}

TEST_CASE("a view blurs and packs, and leaves alone what it is not asked to") {
  Image photo(64, 64);
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x)
      for (int c = 0; c < 3; ++c) photo.at(x, y)[c] = x < 33 ? 40 : 200;
  AugmentedView view = view_of({0, 0, 64, 64});
  CHECK(apps::render_view(photo, view).pixels == photo.pixels);
  view.blur = 2;
  const Image blurred = apps::render_view(photo, view);
  CHECK(blurred.at(31, 30)[0] > 60);
  CHECK(blurred.at(34, 30)[0] < 180);
  CHECK(blurred.at(5, 30)[0] == 40);
  view.blur = 0;
  view.jpeg_quality = 25;
  const Image packed = apps::render_view(photo, view);
  int off = 0;
  for (int x = 32; x < 40; ++x)
    off = std::max(off, std::abs(packed.at(x, 30)[0] - photo.at(x, 30)[0]));
  CHECK(off > 3);  // the edge does not lie on a block's border
  CHECK(off < 60);
}

TEST_CASE("random views hold a face, differ, and come back with their seed") {
  const auto drawn = vision::draw_face(vision::random_face(3, false), 240, 200);
  int cut = 0, smaller = 0, blurred = 0, packed = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    const AugmentedView view = apps::random_view(seed, {240, 200}, {drawn.landmarks});
    const AugmentedView again = apps::random_view(seed, {240, 200}, {drawn.landmarks});
    CHECK(view.box.x == again.box.x);
    CHECK(view.key == again.key);
    const vision::Point nose = drawn.landmarks[30];
    CHECK(nose.x > view.box.x);
    CHECK(nose.x < view.box.x + view.box.width);
    CHECK(nose.y > view.box.y);
    CHECK(nose.y < view.box.y + view.box.height);
    cut += view.box.width < 230;
    smaller += view.longest > 0;
    blurred += view.blur > 0;
    packed += view.jpeg_quality > 0;
    const Image shown = apps::render_view(drawn.picture, view);
    CHECK(std::max(shown.width, shown.height) <=
          (view.longest > 0 ? view.longest : std::ceil(std::max(view.box.width, view.box.height))));
  }
  CHECK(cut > 60);
  CHECK(cut < 190);
  CHECK(smaller > 80);
  CHECK(smaller < 160);
  CHECK(blurred > 40);
  CHECK(blurred < 110);
  CHECK(packed > 60);
  CHECK(packed < 140);
  CHECK_NOTHROW(apps::random_view(1, {1, 1}, {}));
  CHECK(apps::render_view(Image(1, 1), apps::random_view(1, {1, 1}, {})).width >= 1);
}

TEST_CASE("views of nothing are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(apps::render_view(Image(), view_of({0, 0, 1, 1})), std::invalid_argument);
  CHECK_THROWS_AS(apps::render_view(Image(4, 4, 1), view_of({0, 0, 1, 1})), std::invalid_argument);
  CHECK_THROWS_AS(apps::render_view(Image(4, 4), view_of({0, 0, nan, 1})), std::invalid_argument);
  CHECK_THROWS_AS(apps::render_view(Image(4, 4), view_of({nan, 0, 1, 1})), std::invalid_argument);
  CHECK_THROWS_AS(apps::render_view(Image(4, 4), view_of({0, 0, 1e9f, 1})), std::invalid_argument);
}
