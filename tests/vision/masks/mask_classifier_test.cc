#include "vision/masks/mask_classifier.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <stdexcept>

using namespace maskwatch;

namespace {

class SavedModel {
 public:
  explicit SavedModel(nn::HeadKind head = nn::HeadKind::mask)
      : path_((std::filesystem::temp_directory_path() /
               ("maskwatch_model_" + std::to_string(getpid()) + ".safetensors"))
                  .string()) {
    nn::ClassifierOptions options;
    options.backbone.width = 0.1;
    options.backbone.input_size = 64;
    options.head = head;
    if (head != nn::HeadKind::none)
      options.labels = {"mask_worn_wrongly", "with_mask", "without_mask"};
    nn::save_classifier(path_, nn::Classifier(options, 3));
  }
  ~SavedModel() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

vision::Image gradient(int width, int height) {
  vision::Image image(width, height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 31 + i / 97);
  return image;
}

bool same(const vision::Color& a, const vision::Color& b) {
  return a.r == b.r && a.g == b.g && a.b == b.b;
}

}  // namespace

TEST_CASE("class names become words and colours") {
  using vision::MaskState;
  for (const char* name : {"with_mask", "With Mask", "mask", "masked", "WITH-MASK"}) {
    CHECK(vision::mask_state(name) == MaskState::mask);
    CHECK(vision::display_name(name) == "Mask");
    CHECK(same(vision::display_color(name), vision::mask_green));
  }
  for (const char* name : {"without_mask", "no_mask", "No Mask", "unmasked"}) {
    CHECK(vision::mask_state(name) == MaskState::no_mask);
    CHECK(vision::display_name(name) == "No Mask");
    CHECK(same(vision::display_color(name), vision::no_mask_red));
  }
  CHECK(vision::mask_state("mask_worn_wrongly") == MaskState::other);
  CHECK(vision::display_name("mask_worn_wrongly") == "mask worn wrongly");
  const vision::Color other = vision::display_color("mask_worn_wrongly");
  CHECK_FALSE(same(other, vision::mask_green));
  CHECK_FALSE(same(other, vision::no_mask_red));
}

TEST_CASE("faces are classified alike one by one, together, and beyond the capacity") {
  const SavedModel saved;
  vision::MaskClassifier one(saved.path(), 1), few(saved.path(), 4);
  CHECK(one.input_size() == 64);
  REQUIRE(one.labels().size() == 3);
  const vision::Image image = gradient(200, 150);
  std::vector<vision::Detection> faces;
  for (int i = 0; i < 11; ++i)
    faces.push_back({{15.0f * static_cast<float>(i), 5.0f * static_cast<float>(i), 40, 50}, 1});
  const auto separately = one.classify(image, faces, 0.1f);
  const auto together = few.classify(image, faces, 0.1f);
  REQUIRE(separately.size() == faces.size());
  REQUIRE(together.size() == faces.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    const auto& probabilities = together[i].probabilities;
    REQUIRE(probabilities.size() == 3);
    CHECK(std::accumulate(probabilities.begin(), probabilities.end(), 0.0f) == doctest::Approx(1));
    CHECK(together[i].label == separately[i].label);
    for (std::size_t c = 0; c < 3; ++c) {
      CHECK(probabilities[c] <= together[i].probability());
      CHECK(probabilities[c] == doctest::Approx(separately[i].probabilities[c]).epsilon(1e-5));
    }
  }
  CHECK(few.classify(image, {}, 0).empty());
  const std::vector<vision::Image> wrong{gradient(64, 63)};
  CHECK_THROWS_AS(few.classify(wrong), std::invalid_argument);
}

TEST_CASE("a result reads as a name and a share of a hundred") {
  const SavedModel saved;
  const vision::MaskClassifier classifier(saved.path());
  CHECK(vision::result_text(classifier, {1, {0.0f, 0.99116f, 0.00884f}}) == "Mask: 99.12%");
  CHECK(vision::result_text(classifier, {2, {0, 0, 1}}) == "No Mask: 100.00%");
}

TEST_CASE("a model without classes classifies no faces") {
  const SavedModel saved(nn::HeadKind::none);
  CHECK_THROWS_WITH_AS(vision::MaskClassifier(saved.path()), doctest::Contains("names no classes"),
                       std::runtime_error);
}
