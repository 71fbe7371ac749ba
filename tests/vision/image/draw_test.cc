#include "vision/image/draw.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <stdexcept>

#include "tests/vision/image/image_support.h"

using namespace maskwatch;

using namespace image_support;

namespace {

using vision::Box;
using vision::Color;
using vision::Image;
using vision::Point;

constexpr Color white{255, 255, 255};

double covered_area(const vision::Coverage& coverage) {
  return std::accumulate(coverage.share.begin(), coverage.share.end(), 0.0);
}

}  // namespace

TEST_CASE("coverage is the exact area, in and out of the picture") {
  const Point triangle[] = {{1.25f, 1.5f}, {8.75f, 2.25f}, {3.5f, 9.125f}};
  CHECK(covered_area(vision::cover_polygon(triangle, 20, 20)) ==
        doctest::Approx(27.75).epsilon(1e-4));
  const Point beyond[] = {{-5, -5}, {4.5f, -5}, {4.5f, 3.25f}, {-5, 3.25f}};
  CHECK(covered_area(vision::cover_polygon(beyond, 20, 20)) == doctest::Approx(4.5 * 3.25));
  const Point around[] = {{-50, -50}, {90, -50}, {90, 90}, {-50, 90}};
  CHECK(covered_area(vision::cover_polygon(around, 20, 20)) == doctest::Approx(400));
  const Point outside[] = {{30, 5}, {40, 5}, {40, 10}};
  CHECK(covered_area(vision::cover_polygon(outside, 20, 20)) == 0);
}

TEST_CASE("an ellipse has its area whichever way it is turned") {
  for (float angle : {0.f, .4f, 2.f}) {
    const auto points = vision::ellipse_points({50, 50}, 30, 20, angle);
    CHECK(covered_area(vision::cover_polygon(points, 100, 100)) ==
          doctest::Approx(600 * std::numbers::pi).epsilon(.01));
  }
}

TEST_CASE("a line covers its length times its thickness, and its round ends") {
  const Point line[] = {{20, 50}, {80, 50}};
  CHECK(covered_area(vision::cover_polyline(line, 8, false, 100, 100)) ==
        doctest::Approx(60 * 8 + 16 * std::numbers::pi).epsilon(.01));
  const Point dot[] = {{20, 50}};
  CHECK(covered_area(vision::cover_polyline(dot, 8, false, 100, 100)) ==
        doctest::Approx(16 * std::numbers::pi).epsilon(.02));
}

TEST_CASE("painting blends by coverage and opacity") {
  Image image(4, 4);
  vision::fill_rectangle(image, {0, 0, 1.5f, 4}, white);
  CHECK(image.at(0, 0)[0] == 255);
  CHECK(image.at(1, 0)[0] == 128);
  CHECK(image.at(2, 0)[0] == 0);
  vision::fill_rectangle(image, {2, 0, 1, 4}, white, .25f);
  CHECK(image.at(2, 3)[2] == 64);
}

namespace {

void draw_label(Image& image, const Box& box, const std::string& text, const vision::Color& color) {
  vision::draw_box(image, box, color);
  vision::draw_tabs(image, std::vector<vision::Label>{{box, text, color}});
}

}  // namespace

TEST_CASE("nonsense coordinates draw nothing and crash nothing") {
  Image image(30, 20);
  const float bad = std::numeric_limits<float>::quiet_NaN(), huge = 1e30f;
  vision::fill_rectangle(image, {bad, 0, 5, 5}, white);
  vision::fill_ellipse(image, {bad, bad}, 5, 5, white);
  const Point line[] = {{bad, 0}, {huge, huge}};
  vision::draw_polyline(image, line, 3, white);
  vision::draw_polyline(image, {}, 3, white);
  vision::draw_text(image, {bad, huge}, "text", 12, white);
  CHECK(painted_box(image).width <= 0);
  draw_label(image, {-huge, -huge, 2 * huge, 2 * huge}, "label", white);
  draw_label(image, {bad, bad, bad, bad}, "label", white);
  vision::fill_ellipse(image, {10, 10}, huge, huge, white);
  Image grey(5, 5, 1);
  CHECK_THROWS_AS(vision::fill_rectangle(grey, {0, 0, 2, 2}, white), std::invalid_argument);
  CHECK_THROWS_AS(draw_label(grey, {0, 0, 2, 2}, "", white), std::invalid_argument);
}

TEST_CASE("a rectangle's line lies inside it") {
  Image image(20, 20);
  vision::draw_rectangle(image, {3, 4, 10, 9}, 2, white);
  const Box painted = painted_box(image);
  CHECK(painted.x == 3);
  CHECK(painted.y == 4);
  CHECK(painted.width == 10);
  CHECK(painted.height == 9);
  CHECK(image.at(4, 5)[0] == 255);
  CHECK(image.at(5, 6)[0] == 0);
}

TEST_CASE("a label stays inside the picture and covers no neighbour") {
  for (const auto& [width, height] : {std::pair{200, 150}, {640, 480}, {3840, 2160}}) {
    const float w = float(width), h = float(height);
    for (const Box& box :
         {Box{.3f * w, .4f * h, .3f * w, .3f * h}, Box{.8f * w, 0, .2f * w, .4f * h},
          Box{-.1f * w, .7f * h, .3f * w, .5f * h}}) {
      Image image(width, height);
      draw_label(image, box, "No Mask: 87.50%", vision::Color{225, 45, 45});
      const Box painted = painted_box(image);
      CHECK(painted.x >= std::floor(std::max(0.f, std::min(box.x, w - painted.width))));
      const float tab = 1.6f * vision::text_height_for(image);
      CHECK(painted.y >= std::max(0.f, box.y - tab));
      int letters = 0;
      for (std::size_t i = 0; i < image.pixels.size(); i += 3)
        letters += image.pixels[i] > 250 && image.pixels[i + 1] > 250;
      CHECK(letters > 60);
    }
  }
}

TEST_CASE("tabs cover neither each other nor other boxes: they shrink, or are left out") {
  const vision::Color red{200, 0, 0}, green{0, 200, 0};
  const auto area_of = [](const Image& image, const vision::Color& color) {
    int count = 0;
    for (std::size_t i = 0; i < image.pixels.size(); i += 3)
      count += image.pixels[i] == color.r && image.pixels[i + 1] == color.g;
    return count;
  };
  const auto draw = [&](const Box& a, const Box& b) {
    Image image(640, 480);
    vision::draw_tabs(
        image, std::vector<vision::Label>{{a, "Mask: 99.12%", red}, {b, "Mask: 99.12%", green}});
    return std::pair(area_of(image, red), area_of(image, green));
  };
  const auto [alone, apart] = draw({50, 200, 80, 80}, {400, 200, 80, 80});
  CHECK(alone > 1000);
  CHECK(std::abs(apart - alone) < alone / 10);
  const auto [first, shrunk] = draw({50, 200, 80, 80}, {200, 200, 80, 80});
  CHECK(std::abs(first - alone) < alone / 10);
  CHECK(std::abs(shrunk - alone) < alone / 10);
  // The first one's tab must not reach into the second box, which stands beside it, higher.
  const auto [smaller, full] = draw({50, 200, 40, 40}, {130, 150, 80, 100});
  CHECK(smaller < alone * 3 / 4);
  CHECK(smaller > 100);
  CHECK(full > alone * 3 / 4);
  const auto [there, none] = draw({50, 200, 40, 40}, {52, 200, 40, 40});
  CHECK(there + none == std::max(there, none));
  CHECK_THROWS_AS(
      [] {
        Image grey(20, 20, 1);
        vision::draw_tabs(grey, {});
      }(),
      std::invalid_argument);
}

TEST_CASE("a label on a tiny picture is cut, not fatal") {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 50}, {50, 3}}) {
    Image image(width, height);
    draw_label(image, {0, 0, 3, 3}, "Mask: 99.12%", vision::Color{40, 190, 70});
    CHECK(image.at(0, 0)[1] > 0);
  }
}

TEST_CASE("paste cuts what does not fit") {
  Image image(6, 5), part(4, 3);
  part.pixels.assign(part.pixels.size(), 9);
  vision::paste(image, part, -2, 3);
  CHECK(image.at(1, 4)[0] == 9);
  CHECK(image.at(2, 4)[0] == 0);
  CHECK(image.at(1, 2)[0] == 0);
  vision::paste(image, part, 100, 100);
  vision::paste(image, part, -100, -100);
  CHECK_THROWS_AS(vision::paste(image, Image(2, 2, 1), 0, 0), std::invalid_argument);
}
