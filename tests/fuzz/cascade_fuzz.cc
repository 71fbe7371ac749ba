// Haar cascades, to the boxes in a picture.
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"
#include "vision/haar/haar.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  std::vector<std::string> paths;
  for (const auto& file : std::filesystem::directory_iterator("tests/vision/haar/haar_corpus"))
    paths.push_back(file.path().string());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) seeds.push_back(read_file(path));
  // Accepts every window.
  seeds.push_back(
      R"(<?xml version="1.0"?><opencv_storage><cascade type_id="opencv-cascade-classifier">
<stageType>BOOST</stageType><featureType>HAAR</featureType><height>24</height><width>24</width>
<stageNum>1</stageNum><stages><_><stageThreshold>-1.</stageThreshold><weakClassifiers><_>
<internalNodes>0 -1 0 1e-2</internalNodes><leafValues>1. 1.</leafValues></_></weakClassifiers></_>
</stages><features><_><rects><_>0 0 24 24 -1.</_></rects><tilted>0</tilted></_></features>
</cascade></opencv_storage>)");
  return seeds;
}

bool run(std::string_view bytes) {
  static const vision::Image image = [] {
    vision::Image noise(64, 48, 1);
    Random random{1};
    for (auto& value : noise.pixels) value = static_cast<std::uint8_t>(random.below(256));
    return noise;
  }();
  return expect_faults([&] {
    const auto cascade = vision::HaarCascade::parse(bytes, "cascade");
    for (const auto& face : cascade.detect(image, {.min_width = 0, .min_height = 0}))
      if (!(face.box.x >= 0 && face.box.x + face.box.width <= 64)) std::abort();
  });
}

}  // namespace

const Target cascade{"cascade", seeds, run, nullptr, false};

}  // namespace maskwatch::fuzz
