// Doubtful faces are looked at again, closer and from farther away; the others are left alone.
#include "vision/masks/second_look.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "tests/vision/masks/classify_faces.h"
#include "tests/vision/masks/saved_model.h"
#include "vision/masks/face_verification.h"

using namespace maskwatch;

using vision::Classification;
using vision::FacesInView;
using vision::LabelMeaning;
using vision::LocatedFaces;

namespace {

// No two places of it look alike.
vision::Image speckled(int width, int height) {
  vision::Image image(width, height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * i / 7 + i / 97);
  return image;
}

LocatedFaces two_faces(float first, float second) {
  LocatedFaces found{{{{10, 12, 40, 44}, first}, {{60, 20, 50, 50}, second}}, .15f};
  found.labels = {"with_mask", "without_mask"};
  found.probabilities.assign(2, {.5f, .5f});
  return found;
}

std::vector<float> mean_of(const std::array<std::vector<float>, 3>& answers) {
  std::vector<float> mean;
  float sum = 0;
  for (std::size_t i = 0; i < answers[0].size(); ++i) {
    mean.push_back(std::cbrt(answers[0][i] * answers[1][i] * answers[2][i]));
    sum += mean.back();
  }
  for (float& p : mean) p /= sum;
  return mean;
}

}  // namespace

TEST_CASE("doubtful faces get the mean of three looks, in their view, and the others stay") {
  const SavedModel saved(nn::HeadKind::mask, {"background", "with_mask", "without_mask"});
  vision::MaskClassifier classifier(saved.path());
  const vision::Image first = speckled(120, 90), second = speckled(130, 100);
  // As sure as a detector can be, beyond what a classifier could change, or one look left
  // undecided.
  const LocatedFaces one_doubt = two_faces(1 - 1e-7f, .5f), no_doubt = two_faces(1e-7f, 1 - 1e-7f),
                     doubts = two_faces(.5f, .5f);
  for (const LocatedFaces* found : {&one_doubt, &doubts})
    REQUIRE(vision::doubtful_faces(classify_faces(classifier, first, *found), classifier.meanings(),
                                   *found)
                .size() == (found == &doubts ? 2 : 1));
  const std::vector<FacesInView> looks{
      {first, &one_doubt}, {second, &no_doubt}, {second, &doubts, vision::View::mirrored}};
  const auto before = classifier.classify(looks);
  auto after = before;
  vision::look_again(classifier, looks, after);
  for (std::size_t look = 0; look < looks.size(); ++look)
    for (std::size_t face = 0; face < 2; ++face) {
      CAPTURE(look);
      CAPTURE(face);
      std::vector<float> expected = before[look][face].probabilities;
      if (looks[look].found->faces[face].score == .5f) {
        LocatedFaces close = *looks[look].found, far = close;
        close.margin = .05f;
        far.margin = .3f;
        expected =
            mean_of({expected,
                     classify_faces(classifier, looks[look].image, close, looks[look].view)[face]
                         .probabilities,
                     classify_faces(classifier, looks[look].image, far, looks[look].view)[face]
                         .probabilities});
        CHECK(after[look][face].probabilities != before[look][face].probabilities);
      }
      for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(after[look][face].probabilities[i] == doctest::Approx(expected[i]).epsilon(1e-4));
      const int label = after[look][face].label;
      for (const float p : expected)
        CHECK(p <= doctest::Approx(expected[static_cast<std::size_t>(label)]).epsilon(1e-4));
    }
}

TEST_CASE("a closer look never leaves the face") {
  const SavedModel saved(nn::HeadKind::mask, {"background", "with_mask", "without_mask"});
  vision::MaskClassifier classifier(saved.path());
  const vision::Image image = speckled(120, 90);
  LocatedFaces found = two_faces(.5f, .5f);
  found.margin = 0;
  found.faces[0].box = {118.5f, 10, 40, 40};  // hardly more than a pixel is in the picture
  const FacesInView look{image, &found};
  auto classes = classifier.classify(std::span(&look, 1));
  const auto before = classes;
  vision::look_again(classifier, std::span(&look, 1), classes);
  CHECK(classes[0][0].probabilities != before[0][0].probabilities);
}

TEST_CASE("a face is in doubt where the score of both networks is near 1/2") {
  const std::vector<LabelMeaning> meanings{LabelMeaning::background, LabelMeaning::mask,
                                           LabelMeaning::no_mask};
  const std::vector<Classification> classes{{1, {.3f, .6f, .1f}}, {0, {.99f, .005f, .005f}}};
  LocatedFaces found = two_faces(.5f, .5f);
  using Indices = std::vector<std::size_t>;
  CHECK(vision::doubtful_faces(classes, meanings, found) == Indices{0});
  // What the classifier denies is in doubt where the detector is sure.
  found.faces[1].score = .98f;
  CHECK(vision::doubtful_faces(classes, meanings, found) == Indices{0, 1});
  found.faces[1].score = .5f;
  // Both are sure of one, and the other is a part of the same face.
  found.faces[0].score = .98f;
  found.faces[1].box = {14, 16, 30, 30};
  const std::vector<Classification> same{classes[0], classes[0]};
  CHECK(vision::doubtful_faces(same, meanings, found).empty());
  found.faces[1].box.x = 100;
  CHECK(vision::doubtful_faces(same, meanings, found) == Indices{1});
  // Detectors that know no classes have scores of their own kind, and an assumed face has none.
  LocatedFaces other = found;
  other.labels.clear();
  other.probabilities.clear();
  CHECK(vision::doubtful_faces(same, meanings, other).empty());
  found.assumed = true;
  CHECK(vision::doubtful_faces(same, meanings, found).empty());
  CHECK_THROWS_AS(vision::doubtful_faces(std::span(same).first(1), meanings, found),
                  std::invalid_argument);
}
