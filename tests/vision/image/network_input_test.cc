#include "vision/image/network_input.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "vision/image/draw.h"

using namespace maskwatch;

using vision::Image;

TEST_CASE("network inputs are scaled as each preprocessing says") {
  Image image(29, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 37);
  std::vector<float> tf(image.pixels.size() + 1, 77), imagenet(image.pixels.size());
  std::vector<float> unit(image.pixels.size());
  vision::to_network_input(image, unit.data(), nn::Preprocessing::unit);
  vision::to_network_input(image, tf.data(), nn::Preprocessing::tf);
  vision::to_network_input(image, imagenet.data(), nn::Preprocessing::imagenet);
  const double mean[3] = {.485, .456, .406}, deviation[3] = {.229, .224, .225};
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const double x = image.pixels[i];
    REQUIRE(std::abs(tf[i] - (x / 127.5 - 1)) < 1e-6);
    REQUIRE(std::abs(unit[i] - x / 255) < 1e-6);
    REQUIRE(std::abs(imagenet[i] - (x / 255 - mean[i % 3]) / deviation[i % 3]) < 2e-6);
  }
  CHECK(tf.back() == 77);
  CHECK_THROWS_AS(vision::to_network_input(Image(2, 2, 1), tf.data(), nn::Preprocessing::tf),
                  std::invalid_argument);
}

TEST_CASE("a picture at the left and top of a larger input") {
  Image image(29, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 37);
  for (const vision::ImageSize& size : {vision::ImageSize{29, 3}, {29, 5}, {32, 3}, {64, 6}}) {
    CAPTURE(size.width);
    CAPTURE(size.height);
    Image whole(size.width, size.height);
    for (std::uint8_t& sample : whole.pixels) sample = 127;
    vision::paste(whole, image, 0, 0);
    std::vector<float> expected(whole.pixels.size() + 1, 77), seen = expected;
    vision::to_network_input(whole, expected.data(), nn::Preprocessing::imagenet);
    vision::to_network_input(image, size.width, size.height, 127, seen.data(),
                             nn::Preprocessing::imagenet);
    CHECK(seen == expected);
  }
  float none = 0;
  for (const auto& [width, height] : {std::pair{28, 3}, {29, 2}})
    CHECK_THROWS_AS(vision::to_network_input(image, width, height, 0, &none, nn::Preprocessing::tf),
                    std::invalid_argument);
}
