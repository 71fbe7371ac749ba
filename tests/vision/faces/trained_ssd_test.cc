// Detectors trained here, run on pictures of any size: where boxes lie in the picture, how scales
// are joined, and classes. The network is one whose answer is known: every cell of stride 64 holds
// a face.
#include "vision/faces/trained_ssd.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "vision/faces/ssd.h"

using namespace maskwatch;
using vision::Image;

namespace {

// Faces of 20 pixels in the middle of each cell, score 1 / (1 + e^-2), second class 3 : 1 : 0.
class KnownDetector {
 public:
  KnownDetector()
      : path_(std::filesystem::temp_directory_path() /
              ("maskwatch_trained_ssd_" + std::to_string(getpid()))) {
    nn::SsdNetworkOptions options;
    options.channels = 8;
    options.anchors.aspect = 1;
    options.anchors.levels[3].sizes = {20};
    const nn::SsdNetwork network(options);
    for (const auto& [name, tensor] : network.state_dict()) {
      if (name.find("output.weight") != std::string::npos)
        std::fill_n(tensor.data(), tensor.count(), 0.0f);
      if (name == "head6.output.bias") {
        tensor.data()[4] = 2;
        tensor.data()[6] = std::log(3.0f);
        tensor.data()[7] = -100;
      }
    }
    nn::save_ssd(path_, network);
  }
  KnownDetector(const KnownDetector&) = delete;
  ~KnownDetector() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

vision::SsdOptions at(std::vector<vision::SsdScale> scales) {
  vision::SsdOptions options;
  options.scales = std::move(scales);
  return options;
}

}  // namespace

TEST_CASE("boxes of a scaled and padded input lie in the picture") {
  const KnownDetector known;
  vision::SsdDetector detector(known.path());
  for (const int channels : {1, 3}) {
    const auto faces = detector.detect_labelled(Image(128, 128, channels), at({{64}}));
    REQUIRE(faces.size() == 1);
    const vision::Box& box = faces[0].face.box;
    CHECK(box.x == doctest::Approx(44));
    CHECK(box.y == doctest::Approx(44));
    CHECK(box.width == doctest::Approx(40));
    CHECK(box.height == doctest::Approx(40));
    CHECK(faces[0].face.score == doctest::Approx(1 / (1 + std::exp(-2.0))));
    REQUIRE(faces[0].probabilities.size() == 3);
    CHECK(faces[0].probabilities[0] == doctest::Approx(0.25));
    CHECK(faces[0].probabilities[1] == doctest::Approx(0.75));
  }
  // 128 x 72 becomes 64 x 36 of 64 x 64: the box at 22..42 is cut off at 36.
  const auto wide = detector.detect(Image(128, 72), at({{64}}));
  REQUIRE(wide.size() == 1);
  CHECK(wide[0].box.y == doctest::Approx(44));
  CHECK(wide[0].box.height == doctest::Approx(28));
  CHECK(detector.labels() ==
        std::vector<std::string>{"with_mask", "without_mask", "mask_worn_wrongly"});
}

TEST_CASE("scales are joined, each with the sizes that count there") {
  const KnownDetector known;
  vision::SsdDetector detector(known.path());
  const Image picture(128, 128);
  const auto count = [&](std::vector<vision::SsdScale> scales) {
    return detector.detect(picture, at(std::move(scales))).size();
  };
  CHECK(count({{64}}) == 1);
  CHECK(count({{128}}) == 4);
  CHECK(count({{64}, {128}}) == 5);
  CHECK(count({{64, 21}, {128, 0, 110}}) == 4);
  CHECK(count({{64}, {128, 0, 19}}) == 1);
  CHECK(count({}) == 0);
  // The same faces at both scales stand there once.
  CHECK(count({{64}, {64}}) == 1);
  vision::SsdOptions sure = at({{64}});
  sure.confidence = 0.9f;
  CHECK(detector.detect(picture, sure).empty());
}

TEST_CASE("in tiles each face is found once, wherever the tiles part") {
  const KnownDetector known;
  vision::SsdDetector detector(known.path());
  // A face of 20 pixels in the middle of each 64 of a tile: those at its edges are not cut.
  const auto boxes = [&](int width, int height) {
    return detector.detect(
        Image(width, height),
        at({{.longest_side = std::max(width, height), .most = 30, .tile = 128}}));
  };
  CHECK(boxes(128, 128).size() == 4);
  CHECK(boxes(100, 128).size() == 4);
  // Tiles overlap by 39: three cover 300, from 0, 86 and 172.
  const auto wide = boxes(300, 64);
  std::vector<float> middles;
  for (const auto& face : wide) middles.push_back(face.box.x + face.box.width / 2);
  std::sort(middles.begin(), middles.end());
  REQUIRE(middles.size() == 6);
  for (const auto& [i, middle] :
       {std::pair(0, 32), {1, 96}, {2, 118}, {3, 182}, {4, 204}, {5, 268}})
    CHECK(middles[static_cast<std::size_t>(i)] == doctest::Approx(middle));
  CHECK(boxes(300, 300).size() == 36);
}

TEST_CASE("pictures of many sizes in turn: each answer as by a fresh detector") {
  const KnownDetector known;
  vision::SsdDetector detector(known.path());
  std::vector<std::pair<int, int>> sizes{{300, 40}, {40, 300},  {160, 120}, {7, 5},
                                         {1, 64},   {200, 190}, {1, 1}};
  // More than there are plans kept.
  for (int height = 30; height <= 300; height += 30) sizes.emplace_back(300, height);
  for (int round = 0; round < 2; ++round)
    for (const auto& [width, height] : sizes) {
      const Image picture(width, height);
      const auto faces = detector.detect(picture),
                 again = vision::SsdDetector(known.path()).detect(picture);
      REQUIRE(faces.size() == again.size());
      for (std::size_t i = 0; i < faces.size(); ++i) {
        CHECK(faces[i].box.x == again[i].box.x);
        CHECK(faces[i].box.height == again[i].box.height);
      }
    }
}

TEST_CASE("what such a detector refuses") {
  const KnownDetector known;
  vision::SsdDetector detector(known.path());
  CHECK_THROWS_WITH_AS(detector.detect(Image()), "SsdDetector: an empty picture",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(detector.detect(Image(8, 8), at({{16}})),
                       "SsdDetector: scale 16 is not in 32..4096", std::invalid_argument);
  CHECK_THROWS_WITH_AS(
      detector.detect(Image(8, 8), at({{.longest_side = 640, .most = 110, .tile = 320}})),
      "SsdDetector: tiles of 320 pixels for faces of 110", std::invalid_argument);
}
