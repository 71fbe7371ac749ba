#include "vision/masks/face_verification.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "vision/image/geometry.h"

namespace maskwatch::vision {
namespace {

// Chosen on pictures that neither network was trained on (docs/model_card.md).
constexpr double kClassifierWeight = 0.7;
constexpr double kBias = -0.24;
// As far as the classifier may move a detector's log odds, in either direction.
constexpr double kMostRaised = 1, kMostLowered = 8;

// A score is in doubt between these two, log odds of -1 and 1.
constexpr float kLeastDoubtful = .27f, kMostDoubtful = .73f;

// Of two boxes that overlap by more, as shares of what both cover and of the smaller one, the less
// sure one shows no face of its own. The classifier raises such boxes too, if there is enough of a
// face in them.
constexpr float kMostJoint = 0.35f;
constexpr double kMostOfSmaller = 0.7;

double log_odds(double probability) {
  constexpr double kLeast = 1e-6;
  const double p = std::clamp(probability, kLeast, 1 - kLeast);
  return std::log(p / (1 - p));
}

double from_log_odds(double value) { return 1 / (1 + std::exp(-value)); }

float joint_score(float detector, double background) {
  const double moved = kBias - kClassifierWeight * log_odds(background);
  return static_cast<float>(from_log_odds(log_odds(static_cast<double>(detector)) +
                                          std::clamp(moved, -kMostLowered, kMostRaised)));
}

double background_of(const Classification& face, std::span<const LabelMeaning> meanings) {
  double background = 0;
  for (std::size_t i = 0; i < meanings.size(); ++i)
    if (meanings[i] == LabelMeaning::background)
      background += static_cast<double>(face.probabilities[i]);
  return background;
}

// Takes the labels of background out.
void drop_background(Classification& face, std::span<const LabelMeaning> meanings) {
  std::vector<float> others;
  for (std::size_t i = 0; i < meanings.size(); ++i)
    if (meanings[i] != LabelMeaning::background) others.push_back(face.probabilities[i]);
  double sum = 0;
  for (const float p : others) sum += static_cast<double>(p);
  for (float& p : others)
    p = sum > 0 ? static_cast<float>(static_cast<double>(p) / sum)
                : 1 / static_cast<float>(others.size());
  face.label = static_cast<int>(std::max_element(others.begin(), others.end()) - others.begin());
  face.probabilities = std::move(others);
}

bool shows_same_face(const Box& a, const Box& b) {
  return intersection_over_union(a, b) > kMostJoint ||
         intersection_over_smaller(a, b) > kMostOfSmaller;
}

// Surest first, and each face once.
void put_in_order(std::vector<VerifiedFace>& faces, const LocatedFaces& found) {
  std::stable_sort(faces.begin(), faces.end(),
                   [](const VerifiedFace& a, const VerifiedFace& b) { return a.score > b.score; });
  std::vector<VerifiedFace> kept;
  for (VerifiedFace& face : faces) {
    const Box& box = found.faces[face.index].box;
    if (std::none_of(kept.begin(), kept.end(), [&](const VerifiedFace& surer) {
          return shows_same_face(found.faces[surer.index].box, box);
        }))
      kept.push_back(std::move(face));
  }
  faces = std::move(kept);
}

bool joins_scores(std::span<const LabelMeaning> meanings, const LocatedFaces& found) {
  return knows(meanings, LabelMeaning::background) && !found.assumed && !found.labels.empty();
}

void check(std::span<const Classification> classes, std::span<const LabelMeaning> meanings,
           const LocatedFaces& found) {
  if (std::all_of(meanings.begin(), meanings.end(),
                  [](LabelMeaning meaning) { return meaning == LabelMeaning::background; }))
    throw std::invalid_argument("verify_faces: all labels mean background");
  if (classes.size() != found.faces.size())
    throw std::invalid_argument("verify_faces: not as many answers as faces");
  for (const Classification& face : classes)
    if (face.probabilities.size() != meanings.size())
      throw std::invalid_argument("verify_faces: not as many probabilities as labels");
}

}  // namespace

float candidate_score(float confidence) {
  return static_cast<float>(from_log_odds(log_odds(static_cast<double>(confidence)) - kMostRaised));
}

std::vector<std::size_t> doubtful_faces(std::span<const Classification> classes,
                                        std::span<const LabelMeaning> meanings,
                                        const LocatedFaces& found) {
  check(classes, meanings, found);
  if (!joins_scores(meanings, found)) return {};
  std::vector<std::size_t> doubtful;
  std::vector<Box> sure;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const float score = joint_score(found.faces[i].score, background_of(classes[i], meanings));
    if (score > kMostDoubtful)
      sure.push_back(found.faces[i].box);
    else if (score > kLeastDoubtful)
      doubtful.push_back(i);
  }
  std::erase_if(doubtful, [&](std::size_t i) {
    return std::any_of(sure.begin(), sure.end(),
                       [&](const Box& box) { return shows_same_face(box, found.faces[i].box); });
  });
  return doubtful;
}

std::vector<VerifiedFace> verify_faces(std::vector<Classification> classes,
                                       std::span<const LabelMeaning> meanings,
                                       const LocatedFaces& found, float confidence) {
  check(classes, meanings, found);
  const bool knows_background = knows(meanings, LabelMeaning::background);
  const bool joined = joins_scores(meanings, found);
  std::vector<VerifiedFace> faces;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    VerifiedFace face{i, found.faces[i].score, std::move(classes[i])};
    if (knows_background) {
      const double background = background_of(face.classification, meanings);
      drop_background(face.classification, meanings);
      if (joined) face.score = joint_score(face.score, background);
      if (joined ? face.score < confidence : !found.assumed && background > 0.5) continue;
    }
    faces.push_back(std::move(face));
  }
  if (joined) put_in_order(faces, found);
  return faces;
}

}  // namespace maskwatch::vision
