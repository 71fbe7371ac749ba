// A landmark network that can be followed by hand, and pictures for it.
#pragma once

#include <nlohmann/json.hpp>

#include "nn/safetensors.h"
#include "vision/image/image.h"

namespace maskwatch::tiny_landmark_network {

inline float share(int i) { return static_cast<float>(i + 1) / 256; }

// Its 68 points are always in the same places of its input, plus the mean of what it sees, red, for
// the first number.
inline nn::Safetensors tiny_network() {
  nn::Safetensors contents;
  contents.metadata["graph"] =
      nlohmann::json::array({{{"op", "average_pool"}, {"inputs", {"input"}}, {"output", "mean"}},
                             {{"op", "dense"},
                              {"inputs", {"mean"}},
                              {"output", "points"},
                              {"weight", "w"},
                              {"bias", "b"}}})
          .dump();
  contents.metadata["detector"] = nlohmann::json{
      {"kind", "landmarks"},
      {"input_size", {32, 16}},
      {"order", "rgb"},
      {"mean", {10.0, 20.0, 30.0}},
      {"scale", {0.5, 0.25, 0.125}},
      {"resize", "letterbox_center"},
      {"outputs", {{"points", "points"}}},
      {"coding", "xy_share"},
      {"points", 68}}.dump();
  const nn::Tensor weight = nn::Tensor::zeros({3, 136}), bias = nn::Tensor::zeros({136});
  weight.data()[0] = 1;
  for (int i = 0; i < 136; ++i) bias.data()[i] = share(i);
  contents.tensors = {{"w", weight}, {"b", bias}};
  return contents;
}

inline vision::Image picture_of(int width, int height, int channels = 3) {
  vision::Image image(width, height, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(40 + i % static_cast<std::size_t>(channels) * 60);
  return image;
}

}  // namespace maskwatch::tiny_landmark_network
