#include "apps/training/average_precision.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace maskwatch::apps {
namespace {

using vision::Box;

constexpr int kRecallPoints = 101;

double area_of(const Box& box) { return static_cast<double>(box.width) * box.height; }

double shared_area(const Box& a, const Box& b) {
  const double right =
      std::min<double>(static_cast<double>(a.x) + a.width, static_cast<double>(b.x) + b.width);
  const double bottom =
      std::min<double>(static_cast<double>(a.y) + a.height, static_cast<double>(b.y) + b.height);
  const double width = right - std::max(a.x, b.x), height = bottom - std::max(a.y, b.y);
  return width > 0 && height > 0 ? width * height : 0;
}

// A true face as a selection sees it.
struct Candidate {
  int index = 0;
  bool ignored = false;
  bool region = false;  // serves many found faces
  bool taken = false;
};

bool outside(const Box& box, const FaceSelection& selection) {
  const double area = area_of(box);
  return area < selection.min_area || area > selection.max_area;
}

// Those that count come first, in their order: they are taken before ignored ones.
std::vector<Candidate> candidates_of(const JudgedPicture& picture, const FaceSelection& selection) {
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < picture.truth.size(); ++i) {
    const FaceBox& face = picture.truth[i];
    const bool unknown = selection.label && face.label == kUnlabelled;
    const bool region = face.ignored || unknown;
    if (!region && selection.label && face.label != *selection.label) continue;
    candidates.push_back(
        {static_cast<int>(i), region || outside(face.box, selection), region, false});
  }
  std::stable_partition(candidates.begin(), candidates.end(),
                        [](const Candidate& each) { return !each.ignored; });
  return candidates;
}

std::vector<int> surest_first(const std::vector<FoundFace>& found, const FaceSelection& selection) {
  std::vector<int> order;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (!selection.label || found[i].label == *selection.label)
      order.push_back(static_cast<int>(i));
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return found[static_cast<std::size_t>(a)].score > found[static_cast<std::size_t>(b)].score;
  });
  if (order.size() > selection.most_found) order.resize(selection.most_found);
  return order;
}

// The candidate for a found face, or null.
Candidate* choose(std::vector<Candidate>& candidates, const JudgedPicture& picture, const Box& box,
                  double overlap) {
  Candidate* best = nullptr;
  double least = std::min(overlap, 1 - 1e-10);
  for (Candidate& candidate : candidates) {
    if (candidate.taken && !candidate.region) continue;
    if (best && !best->ignored && candidate.ignored) break;
    const Box& truth = picture.truth[static_cast<std::size_t>(candidate.index)].box;
    const double shared = shared_area(box, truth);
    const double joint = candidate.region ? area_of(box) : area_of(box) + area_of(truth) - shared;
    const double share = joint > 0 ? shared / joint : 0;
    if (share < least) continue;
    least = share;
    best = &candidate;
  }
  return best;
}

struct Outcome {
  double score;
  bool right;
};

// All found faces that count, in the order of pictures.
std::vector<Outcome> outcomes_of(std::span<const JudgedPicture> pictures, double overlap,
                                 const FaceSelection& selection, std::int64_t& positives) {
  std::vector<Outcome> outcomes;
  for (const JudgedPicture& picture : pictures) {
    const MatchedPicture matched = match_faces(picture, overlap, selection);
    positives += matched.positives;
    for (std::size_t i = 0; i < matched.order.size(); ++i)
      if (!matched.matches[i].ignored)
        outcomes.push_back({picture.found[static_cast<std::size_t>(matched.order[i])].score,
                            matched.matches[i].truth >= 0});
  }
  std::stable_sort(outcomes.begin(), outcomes.end(),
                   [](const Outcome& a, const Outcome& b) { return a.score > b.score; });
  return outcomes;
}

}  // namespace

MatchedPicture match_faces(const JudgedPicture& picture, double overlap,
                           const FaceSelection& selection) {
  MatchedPicture matched;
  std::vector<Candidate> candidates = candidates_of(picture, selection);
  for (const Candidate& candidate : candidates) matched.positives += candidate.ignored ? 0 : 1;
  matched.order = surest_first(picture.found, selection);
  for (const int index : matched.order) {
    const Box& box = picture.found[static_cast<std::size_t>(index)].box;
    Candidate* const chosen = choose(candidates, picture, box, overlap);
    if (!chosen) {
      matched.matches.push_back({-1, outside(box, selection)});
      continue;
    }
    chosen->taken = true;
    matched.matches.push_back({chosen->index, chosen->ignored});
  }
  return matched;
}

PrecisionCurve precision_curve(std::span<const JudgedPicture> pictures, double overlap,
                               const FaceSelection& selection) {
  PrecisionCurve curve;
  const std::vector<Outcome> outcomes = outcomes_of(pictures, overlap, selection, curve.positives);
  if (curve.positives == 0) return curve;
  std::vector<double> recall, precision;
  double right = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    right += outcomes[i].right ? 1 : 0;
    recall.push_back(right / static_cast<double>(curve.positives));
    precision.push_back(right / static_cast<double>(i + 1));
  }
  for (std::size_t i = precision.size(); i > 1; --i)
    precision[i - 2] = std::max(precision[i - 2], precision[i - 1]);
  for (int point = 0; point < kRecallPoints; ++point) {
    const auto place = std::lower_bound(recall.begin(), recall.end(), point * 0.01);
    curve.precision.push_back(
        place == recall.end() ? 0 : precision[static_cast<std::size_t>(place - recall.begin())]);
  }
  curve.recall = recall.empty() ? 0 : recall.back();
  curve.average =
      std::accumulate(curve.precision.begin(), curve.precision.end(), 0.0) / kRecallPoints;
  return curve;
}

AveragePrecision average_precision(std::span<const JudgedPicture> pictures,
                                   const FaceSelection& selection) {
  constexpr int kOverlaps = 10;
  constexpr double kStep = (0.95 - 0.5) / 9;
  AveragePrecision result;
  for (int i = 0; i < kOverlaps; ++i) {
    const PrecisionCurve curve = precision_curve(pictures, 0.5 + kStep * i, selection);
    if (i == 0) {
      result.at_50 = curve.average;
      result.positives = curve.positives;
    }
    result.at_50_95 += curve.average / kOverlaps;
  }
  return result;
}

}  // namespace maskwatch::apps
