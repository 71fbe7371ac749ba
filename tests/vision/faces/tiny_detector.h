// A published detector that fits on a page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "nn/safetensors.h"

namespace maskwatch {

// A detector without weights to speak of: every prior has the same score and stays where it is.
inline nn::Safetensors tiny_detector() {
  using nlohmann::json;
  nn::Safetensors contents;
  const auto convolution = [](const char* name) {
    return json{{"op", "conv2d"},
                {"inputs", {"input"}},
                {"output", name},
                {"weight", std::string(name) + ".weight"},
                {"bias", std::string(name) + ".bias"},
                {"stride", 16},
                {"dilation", 1},
                {"pad", {0, 0, 0, 0}},
                {"activation", "none"}};
  };
  const auto rows = [](const char* from, const char* to, int values) {
    return json{{"op", "reshape"}, {"inputs", {from}}, {"output", to}, {"shape", {-1, values}}};
  };
  contents.metadata["graph"] =
      json::array({convolution("s"),
                   rows("s", "logits", 2),
                   {{"op", "softmax"}, {"inputs", {"logits"}}, {"output", "scores"}},
                   convolution("b"),
                   rows("b", "boxes", 4)})
          .dump();
  contents.metadata["detector"] = json{
      {"kind", "boxes"},
      {"input_size", {32, 16}},
      {"order", "rgb"},
      {"mean", {127.0, 127.0, 127.0}},
      {"scale", {1 / 128.0, 1 / 128.0, 1 / 128.0}},
      {"resize", "stretch"},
      {"outputs", {{"scores", "scores"}, {"boxes", "boxes"}}},
      {"face_class", 1},
      {"priors", "priors"},
      {"coding", "center_size"},
      {"variances", {0.1, 0.2}}}.dump();
  // White pixels (value 1) make the face's logit 8, black ones (-127/128) about -8.
  const nn::Tensor scores = nn::Tensor::zeros({1, 1, 3, 2});
  for (int c = 0; c < 3; ++c) scores.data()[2 * c + 1] = 8.0f / 3;
  contents.tensors = {
      {"s.weight", scores},
      {"s.bias", nn::Tensor::zeros({2})},
      {"b.weight", nn::Tensor::zeros({1, 1, 3, 4})},
      {"b.bias", nn::Tensor::zeros({4})},
      {"priors", nn::Tensor::from({2, 4}, {0.25f, 0.5f, 0.5f, 1, 0.75f, 0.5f, 0.6f, 1})}};
  return contents;
}

}  // namespace maskwatch
