// Cascades for the tests: those that Debian publishes, those of haar_corpus, and noise to search.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "vision/image/image.h"

namespace maskwatch::cascade_files {

inline std::string cascade_path(const std::string& name) {
  return "/usr/share/opencv4/haarcascades/haarcascade_" + name + ".xml";
}

inline const std::filesystem::path kCorpus = "tests/vision/haar/haar_corpus";

inline vision::Image noise(int width, int height, int channels) {
  std::mt19937 random(7);
  vision::Image image(width, height, channels);
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random());
  return image;
}

}  // namespace maskwatch::cascade_files
