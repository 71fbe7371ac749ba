// How pixel values become network inputs.
#pragma once

namespace maskwatch::nn {

enum class Preprocessing {
  tf,        // x / 127.5 - 1, as Keras and TFLite MobileNetV2
  unit,      // x / 255
  imagenet,  // (x / 255 - mean) / std with ImageNet's channel statistics, as torchvision
};

constexpr float kImagenetMean[3] = {0.485f, 0.456f, 0.406f};
constexpr float kImagenetStd[3] = {0.229f, 0.224f, 0.225f};

}  // namespace maskwatch::nn
