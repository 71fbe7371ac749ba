#include "vision/masks/mask_classifier.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>

#include "base/file.h"
#include "tests/vision/masks/classify_faces.h"
#include "tests/vision/masks/saved_model.h"

using namespace maskwatch;

namespace {

vision::Image gradient(int width, int height) {
  vision::Image image(width, height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 31 + i / 97);
  return image;
}

vision::LocatedFaces eleven_faces() {
  vision::LocatedFaces found{{}, 0.1f};
  for (int i = 0; i < 11; ++i)
    found.faces.push_back(
        {{15.0f * static_cast<float>(i), 5.0f * static_cast<float>(i), 40, 50}, 1});
  return found;
}

}  // namespace

TEST_CASE("faces are classified alike one by one, together, and beyond the capacity") {
  const SavedModel saved;
  vision::MaskClassifier one(saved.path(), 1), few(saved.path(), 4);
  CHECK(one.input_size() == 64);
  REQUIRE(one.labels().size() == 3);
  const vision::Image image = gradient(200, 150);
  const vision::LocatedFaces found = eleven_faces();
  const auto& faces = found.faces;
  const auto separately = classify_faces(one, image, found);
  const auto together = classify_faces(few, image, found);
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
  CHECK(classify_faces(few, image, vision::LocatedFaces()).empty());
  CHECK_THROWS_AS(vision::MaskClassifier(saved.path(), 0), std::invalid_argument);
  const std::vector<vision::Image> wrong{gradient(64, 63)};
  CHECK_THROWS_AS(few.classify(wrong), std::invalid_argument);
}

TEST_CASE("faces of several images are classified as those of each") {
  const SavedModel saved;
  vision::MaskClassifier classifier(saved.path());
  const std::vector<vision::Image> images{gradient(200, 150), vision::Image(), gradient(150, 200)};
  const std::vector<vision::LocatedFaces> found{eleven_faces(), {}, {{{{20, 30, 40, 50}, 1}}, .2f}};
  const auto together = classifier.classify(vision::looks_at(vision::views_of(images), found));
  REQUIRE(together.size() == 3);
  CHECK(together[1].empty());
  for (const std::size_t i : {0, 2}) {
    const auto alone = classify_faces(classifier, images[i], found[i]);
    REQUIRE(together[i].size() == alone.size());
    for (std::size_t face = 0; face < alone.size(); ++face)
      for (std::size_t c = 0; c < 3; ++c)
        CHECK(together[i][face].probabilities[c] ==
              doctest::Approx(alone[face].probabilities[c]).epsilon(1e-5));
  }
  CHECK_THROWS_AS(vision::looks_at(vision::views_of(images), std::vector<vision::LocatedFaces>(2)),
                  std::invalid_argument);
}

TEST_CASE("of several images each is seen in its own view") {
  const SavedModel saved;
  vision::MaskClassifier classifier(saved.path());
  const vision::Image image = gradient(200, 150);
  const vision::LocatedFaces found = eleven_faces(), none;
  const std::vector<vision::FacesInView> looks{
      {image, &found, vision::View::mirrored}, {image, &none}, {image, &found}};
  const auto together = classifier.classify(looks);
  REQUIRE(together.size() == 3);
  CHECK(together[1].empty());
  for (const std::size_t i : {0, 2}) {
    const auto alone = classify_faces(classifier, image, found, looks[i].view);
    REQUIRE(together[i].size() == alone.size());
    for (std::size_t face = 0; face < alone.size(); ++face)
      for (std::size_t c = 0; c < 3; ++c)
        CHECK(together[i][face].probabilities[c] ==
              doctest::Approx(alone[face].probabilities[c]).epsilon(1e-5));
  }
  CHECK(std::abs(together[0][0].probabilities[0] - together[2][0].probabilities[0]) > 1e-4f);
}

TEST_CASE("a face outside its image, or in an empty one, is refused") {
  const SavedModel saved;
  vision::MaskClassifier classifier(saved.path());
  const std::vector<vision::Image> images{gradient(200, 150), gradient(150, 200)};
  std::vector<vision::LocatedFaces> found{eleven_faces(), eleven_faces()};
  found[1].faces[3].box.x = 400;
  CHECK_THROWS_AS(classify_faces(classifier, images[1], found[1]), std::invalid_argument);
  CHECK_THROWS_AS(classifier.classify(vision::looks_at(vision::views_of(images), found)),
                  std::invalid_argument);
  const std::vector<vision::Image> with_empty{images[0], vision::Image()};
  found[1] = eleven_faces();
  CHECK_THROWS_AS(classify_faces(classifier, with_empty[1], found[1]), std::invalid_argument);
  CHECK_THROWS_AS(classifier.classify(vision::looks_at(vision::views_of(with_empty), found)),
                  std::invalid_argument);
}

TEST_CASE("a mirrored view is the view of the mirrored image") {
  const SavedModel saved;
  vision::MaskClassifier classifier(saved.path());
  const vision::Image image = gradient(128, 64);
  const vision::LocatedFaces left{{{{0, 0, 64, 64}, 1}}, 0}, right{{{{64, 0, 64, 64}, 1}}, 0};
  const auto mirrored = classify_faces(classifier, image, left, vision::View::mirrored);
  CHECK(mirrored[0].probabilities ==
        classify_faces(classifier, vision::flip_horizontally(image), right)[0].probabilities);
  CHECK(mirrored[0].probabilities != classify_faces(classifier, image, left)[0].probabilities);
}

TEST_CASE("a model from its bytes") {
  const SavedModel saved;
  const std::string file = read_file(saved.path());
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  vision::MaskClassifier by_path(saved.path()), by_bytes(bytes, "a model");
  const vision::Image image = gradient(200, 150);
  const auto a = classify_faces(by_path, image, eleven_faces());
  const auto b = classify_faces(by_bytes, image, eleven_faces());
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i].probabilities == b[i].probabilities);
  CHECK_THROWS_WITH_AS(vision::MaskClassifier(bytes.first(bytes.size() / 2), "a model"),
                       doctest::Contains("a model: "), std::runtime_error);
  CHECK_THROWS_AS(vision::MaskClassifier(std::span<const std::uint8_t>(), "nothing"),
                  std::runtime_error);
}

TEST_CASE("a model without classes classifies no faces") {
  const SavedModel saved(nn::HeadKind::none);
  CHECK_THROWS_WITH_AS(vision::MaskClassifier(saved.path()), doctest::Contains("names no classes"),
                       std::runtime_error);
}

TEST_CASE("a model with two classes of one name is refused") {
  const SavedModel saved(nn::HeadKind::mask, {"with_mask", "other", "with_mask"});
  CHECK_THROWS_WITH_AS(vision::MaskClassifier(saved.path()),
                       doctest::Contains("two classes of the model are called \"with_mask\""),
                       std::runtime_error);
}

TEST_CASE("a model whose answer is not a number says so") {
  const SavedModel saved;
  const auto model = nn::load_classifier(saved.path());
  for (nn::Tensor parameter : model->trainable_parameters())
    std::fill_n(parameter.data(), parameter.count(), 1e38f);
  nn::save_classifier(saved.path(), *model);
  vision::MaskClassifier classifier(saved.path());
  CHECK_THROWS_WITH_AS(classify_faces(classifier, gradient(200, 150), eleven_faces()),
                       doctest::Contains("not a number"), std::runtime_error);
}

TEST_CASE("labels mean what the model file says, or their names, or what is said afterwards") {
  using vision::LabelMeaning;
  using Meanings = std::vector<LabelMeaning>;
  const std::vector<std::string> labels{"A", "with_mask", "C"};
  const auto head = nn::HeadKind::mask;
  {
    const SavedModel silent(head, labels);
    vision::MaskClassifier classifier(silent.path());
    CHECK(classifier.meanings() ==
          Meanings{LabelMeaning::other, LabelMeaning::mask, LabelMeaning::other});
    CHECK(classifier.unknown_labels() == std::vector<std::string>{"A", "C"});
    classifier.set_meanings({{"A", LabelMeaning::other},
                             {"C", LabelMeaning::no_mask},
                             {"nowhere", LabelMeaning::mask}});
    CHECK(classifier.meanings() ==
          Meanings{LabelMeaning::other, LabelMeaning::mask, LabelMeaning::no_mask});
    CHECK(classifier.unknown_labels().empty());
  }
  {
    const SavedModel stated(head, labels, {"no_mask", "", "other"});
    vision::MaskClassifier classifier(stated.path());
    CHECK(classifier.meanings() ==
          Meanings{LabelMeaning::no_mask, LabelMeaning::mask, LabelMeaning::other});
    CHECK(classifier.unknown_labels().empty());
    classifier.set_meanings({{"with_mask", LabelMeaning::background}});
    CHECK(classifier.meanings()[1] == LabelMeaning::background);
  }
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"no_mask", "mask"}, {"no_mask", "mask", "helmet"}}) {
    const SavedModel model(head, labels, wrong);
    CHECK_THROWS_AS(vision::MaskClassifier(model.path()), std::runtime_error);
  }
}
