#include "vision/masks/second_look.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "vision/masks/face_verification.h"

namespace maskwatch::vision {
namespace {

// Beside the detector's own, as shares of a face's size; chosen on pictures that neither network
// was trained on.
constexpr std::array<float, 2> kOtherMargins{-.1f, .15f};

// The doubtful faces of one look, once for each of the other margins.
struct Doubt {
  std::size_t look;
  std::vector<std::size_t> faces;
  std::array<LocatedFaces, kOtherMargins.size()> found;
};

Doubt doubt_in(std::size_t look, std::vector<std::size_t> faces, const LocatedFaces& found) {
  Doubt doubt{look, std::move(faces), {}};
  for (std::size_t m = 0; m < kOtherMargins.size(); ++m) {
    doubt.found[m].margin = std::max(0.f, found.margin + kOtherMargins[m]);
    for (const std::size_t face : doubt.faces) doubt.found[m].faces.push_back(found.faces[face]);
  }
  return doubt;
}

void become_mean(Classification& answer,
                 const std::array<const Classification*, kOtherMargins.size()>& others) {
  // An answer that were quite sure would overrule the others.
  constexpr float kLeast = 1e-6f;
  double sum = 0;
  std::vector<double> means;
  for (std::size_t label = 0; label < answer.probabilities.size(); ++label) {
    double product = static_cast<double>(std::max(answer.probabilities[label], kLeast));
    for (const Classification* other : others)
      product *= static_cast<double>(std::max(other->probabilities[label], kLeast));
    means.push_back(std::pow(product, 1. / (1 + kOtherMargins.size())));
    sum += means.back();
  }
  for (std::size_t label = 0; label < means.size(); ++label)
    answer.probabilities[label] = static_cast<float>(means[label] / sum);
  answer.label = static_cast<int>(std::max_element(means.begin(), means.end()) - means.begin());
}

}  // namespace

void look_again(MaskClassifier& classifier, std::span<const FacesInView> looks,
                std::vector<std::vector<Classification>>& classes) {
  std::vector<Doubt> doubts;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    auto faces = doubtful_faces(classes[i], classifier.meanings(), *looks[i].found);
    if (!faces.empty()) doubts.push_back(doubt_in(i, std::move(faces), *looks[i].found));
  }
  std::vector<FacesInView> again;
  for (const Doubt& doubt : doubts)
    for (const LocatedFaces& found : doubt.found)
      again.push_back({looks[doubt.look].image, &found, looks[doubt.look].view});
  const auto answers = classifier.classify(again);
  auto next = answers.begin();
  for (const Doubt& doubt : doubts) {
    for (std::size_t i = 0; i < doubt.faces.size(); ++i) {
      std::array<const Classification*, kOtherMargins.size()> others;
      for (std::size_t m = 0; m < others.size(); ++m) others[m] = &next[m][i];
      become_mean(classes[doubt.look][doubt.faces[i]], others);
    }
    next += kOtherMargins.size();
  }
}

}  // namespace maskwatch::vision
