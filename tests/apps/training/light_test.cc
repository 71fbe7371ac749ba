#include "apps/training/light.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

using namespace maskwatch;
using vision::Image;

TEST_CASE("light: each of its parts does what it says") {
  Image grey(2, 1);
  grey.pixels = {100, 100, 100, 200, 100, 50};
  const auto lit = [&](const apps::Light& light) {
    Image copy = grey;
    apps::apply_light(copy, light);
    return copy.pixels;
  };
  CHECK(lit({}) == grey.pixels);
  CHECK(lit({1, 0.5, 1, {1, 1, 1}, 1}) == std::vector<std::uint8_t>{50, 50, 50, 100, 50, 25});
  CHECK(lit({1, 1, 0.5, {1, 1, 1}, 1})[0] == 114);
  CHECK(lit({1, 1, 1, {2, 1, 0.5}, 1})[0] == 200);
  CHECK(lit({1, 1, 1, {2, 1, 0.5}, 1})[2] == 50);
  CHECK(lit({2, 1, 1, {1, 1, 1}, 1})[0] == 39);
  const auto pale = lit({1, 1, 1, {1, 1, 1}, 0});
  CHECK(pale[3] == pale[4]);
  CHECK(pale[4] == pale[5]);
}

TEST_CASE("named lights: factors on 8-bit values, rounded and clamped") {
  Image image(2, 1);
  image.pixels = {100, 100, 100, 200, 101, 50};
  const auto lit = [&](const char* name) {
    Image copy = image;
    apps::apply_light(copy, apps::light_named(name));
    return copy.pixels;
  };
  using Bytes = std::vector<std::uint8_t>;
  CHECK(lit("none") == image.pixels);
  CHECK(lit("dark") == Bytes{35, 35, 35, 70, 35, 18});
  CHECK(lit("bright") == Bytes{170, 170, 170, 255, 172, 85});
  CHECK(lit("blue") == Bytes{70, 80, 130, 140, 81, 65});
  CHECK(lit("orange") == Bytes{130, 85, 55, 255, 86, 28});
  CHECK(lit("grey") == Bytes{100, 100, 100, 125, 125, 125});
  CHECK_THROWS_AS(apps::light_named("dusk"), std::invalid_argument);
  for (const char* name : apps::kNamedLights) CHECK_NOTHROW(apps::light_named(name));
}

TEST_CASE(
    "half of the draws under lamps are bluer or more orange, in steps that reach the named "
    "lights") {
  double bluest = 0, most_orange = 0;
  int coloured = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Random plain{i}, lamp{i};
    const apps::Light without = apps::draw_light(plain), with = apps::draw_lamp_light(lamp);
    CHECK(without.gamma == with.gamma);
    CHECK(without.saturation == with.saturation);
    CHECK(without.cast[1] == with.cast[1]);
    const double warmth = std::log(with.cast[0] / without.cast[0]);
    CHECK(warmth == doctest::Approx(-std::log(with.cast[2] / without.cast[2])));
    coloured += warmth != 0;
    most_orange = std::max(most_orange, std::log(with.cast[0] / with.cast[2]));
    bluest = std::max(bluest, std::log(with.cast[2] / with.cast[0]));
  }
  CHECK(coloured > 900);
  CHECK(coloured < 1100);
  for (const auto& [name, reached] :
       {std::pair("blue", bluest), std::pair("orange", most_orange)}) {
    const auto& cast = apps::light_named(name).cast;
    CHECK(reached > std::abs(std::log(cast[0] / cast[2])));
  }
}
