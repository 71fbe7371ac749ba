// Which detector a file holds, and what both kinds answer.
#include "vision/faces/ssd.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "base/file.h"
#include "nn/ssd.h"
#include "tests/vision/faces/saved_model.h"
#include "tests/vision/faces/tiny_detector.h"
#include "vision/faces/published_ssd.h"
#include "vision/faces/trained_ssd.h"

using namespace maskwatch;

namespace {

// White on the left, where the tiny detector sees a face.
vision::Image half_white() {
  vision::Image image(64, 48);
  for (int y = 0; y < image.height; ++y) std::fill_n(image.row(y), 32 * 3, std::uint8_t{255});
  return image;
}

void check_same(const std::vector<vision::LabelledFace>& labelled,
                const std::vector<vision::Detection>& faces) {
  REQUIRE(labelled.size() == faces.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    CHECK(labelled[i].face.score == faces[i].score);
    CHECK(labelled[i].face.box.x == faces[i].box.x);
    CHECK(labelled[i].face.box.height == faces[i].box.height);
  }
}

}  // namespace

TEST_CASE("a published file: the faces of PublishedSsd, without classes") {
  const SavedModel saved(tiny_detector());
  const std::string bytes = read_file(saved.path());
  const auto faces = vision::PublishedSsd(saved.path()).detect(half_white());
  REQUIRE(faces.size() == 1);
  const auto check = [&](vision::SsdDetector detector) {
    CHECK(detector.labels().empty());
    check_same(detector.detect_labelled(half_white()), faces);
    check_same(detector.detect_labelled(half_white()), detector.detect(half_white()));
    CHECK(detector.detect_labelled(half_white())[0].probabilities.empty());
  };
  check(vision::SsdDetector(saved.path()));
  check(vision::SsdDetector(std::as_bytes(std::span(bytes)), "bytes"));
}

TEST_CASE("a file that was trained here: the faces and classes of TrainedSsd") {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("maskwatch_ssd_" + std::to_string(getpid()) + ".safetensors"))
                               .string();
  nn::SsdNetworkOptions options;
  options.channels = 8;
  nn::save_ssd(path, nn::SsdNetwork(options));
  vision::TrainedSsd trained(nn::load_safetensors(path), path);
  vision::SsdDetector detector(path);
  std::filesystem::remove(path);
  const vision::SsdOptions all{.confidence = 0, .scales = {{64}}};
  const auto faces = trained.detect(half_white(), all);
  REQUIRE(!faces.empty());
  CHECK(detector.labels() == trained.labels());
  check_same(faces, detector.detect(half_white(), all));
  const auto labelled = detector.detect_labelled(half_white(), all);
  REQUIRE(labelled.size() == faces.size());
  CHECK(labelled[0].probabilities == faces[0].probabilities);
  CHECK(faces[0].probabilities.size() == trained.labels().size());
}
