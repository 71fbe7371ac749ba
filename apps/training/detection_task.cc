#include "apps/training/detection_task.h"

#include <algorithm>
#include <cmath>

#include "apps/common/share.h"
#include "apps/training/detection_report.h"
#include "base/parallel.h"
#include "base/per_thread.h"
#include "vision/faces/trained_ssd.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

using vision::Box;
using vision::Image;

constexpr float kLeastScore = 0.05f;  // of what is judged
constexpr double kThreshold = 0.5;

nn::SsdTarget target_of(const FaceBox& face) {
  const Box& box = face.box;
  return {{box.x, box.y, box.x + box.width, box.y + box.height},
          face.ignored                ? nn::kIgnoredRegion
          : face.label == kUnlabelled ? nn::kUnknownClass
                                      : face.label};
}

FoundFace found_face(const vision::LabelledFace& face) {
  const auto best = std::max_element(face.probabilities.begin(), face.probabilities.end());
  return {face.face.box, face.face.score, static_cast<int>(best - face.probabilities.begin())};
}

}  // namespace

std::vector<JudgedPicture> judge_pictures(const nn::SsdNetwork& network,
                                          const DetectionPictures& pictures,
                                          const std::vector<int>& chosen,
                                          kernels::Communicator& communicator,
                                          kernels::Device& device) {
  PerThread<vision::TrainedSsd> detectors([&] { return vision::TrainedSsd(network, device); });
  vision::SsdOptions options;
  options.confidence = kLeastScore;
  std::vector<JudgedPicture> judged(chosen.size());
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const std::size_t mine = (chosen.size() + ranks - 1 - rank) / ranks;
  parallel_for(static_cast<std::int64_t>(mine), [&](std::int64_t task) {
    const std::size_t i = static_cast<std::size_t>(task) * ranks + rank;
    const auto detector = detectors.take();
    for (const vision::LabelledFace& face :
         detector->detect(pictures.images[static_cast<std::size_t>(chosen[i])], options))
      judged[i].found.push_back(found_face(face));
  });
  const std::vector<std::string> found = share_out(communicator, chosen.size(), [&](std::size_t i) {
    MessageWriter message;
    for (const FoundFace& face : judged[i].found) message.put(face);
    return message.bytes();
  });
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    judged[i].truth = pictures.data.pictures[static_cast<std::size_t>(chosen[i])].faces;
    judged[i].found.clear();
    for (MessageReader reader(found[i]); !reader.at_end();)
      judged[i].found.push_back(reader.get<FoundFace>());
  }
  return judged;
}

DetectionTask::DetectionTask(nn::SsdNetwork& network, const DetectionPictures& pictures,
                             const DetectionSplit& split, const DetectionTaskOptions& options,
                             kernels::Communicator& communicator)
    : network_(network),
      pictures_(pictures),
      split_(split),
      options_(options),
      communicator_(communicator),
      anchors_(network.anchors(options.batches.crops.size, options.batches.crops.size)) {
  network.to(*options.device);
}

void DetectionTask::prepare(std::int64_t begin, std::int64_t end) {
  loader_ =
      std::make_unique<DetectionLoader>(pictures_, split_.train, options_.batches, begin, end);
}

ShardLoss DetectionTask::loss(int) {
  const DetectionBatch batch = loader_->next();
  std::vector<std::vector<nn::SsdTarget>> targets;
  for (const auto& faces : batch.faces) {
    targets.emplace_back();
    for (const FaceBox& face : faces) targets.back().push_back(target_of(face));
  }
  nn::SsdLossParts parts;
  const nn::Tensor outputs = network_.forward(batch.inputs.to(*options_.device));
  const nn::Tensor loss = nn::ssd_loss(outputs, anchors_, targets, options_.loss, &parts);
  return {
      loss, parts.positives, {{"face", parts.face}, {"box", parts.box}, {"class", parts.classes}}};
}

Figures DetectionTask::validate() {
  loader_.reset();
  const auto judged =
      judge_pictures(network_, pictures_, split_.validation, communicator_, *options_.device);
  const DetectionFigures figures = detection_figures(judged, kThreshold);
  const FaceShare& share = figures.at[0].shares[1];
  Figures validation{{"AP50", figures.any.at_50},
                     {"AP50:95", figures.any.at_50_95},
                     {"found", share.found},
                     {"right", share.right}};
  if (figures.backgrounds > 0) validation.push_back({"false", figures.false_on_backgrounds});
  return validation;
}

namespace {

constexpr int kPieceSide = 160;
constexpr std::size_t kMostPieces = 60;

struct Piece {
  std::size_t picture;
  Box box;
  double weight;  // the largest are the worst
};

std::vector<Piece> pieces_of(Mistake kind, const std::vector<JudgedPicture>& judged,
                             double threshold) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    const JudgedPicture& picture = judged[i];
    const MatchedPicture matched = match_faces(picture, 0.4);
    std::vector<bool> found(picture.truth.size());
    for (std::size_t k = 0; k < matched.order.size(); ++k) {
      const FoundFace& face = picture.found[static_cast<std::size_t>(matched.order[k])];
      const FaceMatch& match = matched.matches[k];
      if (match.truth >= 0 && face.score >= threshold)
        found[static_cast<std::size_t>(match.truth)] = true;
      if (kind == Mistake::false_alarm && match.truth < 0 && !match.ignored)
        pieces.push_back({i, face.box, face.score});
    }
    if (kind == Mistake::miss)
      for (std::size_t k = 0; k < found.size(); ++k)
        if (const FaceBox& face = picture.truth[k]; !found[k] && !face.ignored)
          pieces.push_back({i, face.box, std::min(face.box.width, face.box.height)});
  }
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.weight > b.weight; });
  if (pieces.size() > kMostPieces) pieces.resize(kMostPieces);
  return pieces;
}

DetectionCrop cut_piece(const Piece& piece, const Image& image, const JudgedPicture& judged,
                        double threshold) {
  const float side = std::max({2.5f * std::max(piece.box.width, piece.box.height), 24.0f});
  const Box around{piece.box.x + piece.box.width / 2 - side / 2,
                   piece.box.y + piece.box.height / 2 - side / 2, side, side};
  const vision::PixelBox part = vision::clamp_box(image, around);
  const float scale =
      static_cast<float>(kPieceSide) / static_cast<float>(std::max(part.width, part.height));
  const auto scaled = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(static_cast<float>(length) * scale)));
  };
  DetectionCrop crop;
  crop.image = vision::crop_and_resize(image, around, scaled(part.width), scaled(part.height));
  const auto place = [&](const Box& box, int label, bool ignored) {
    crop.faces.push_back(
        {{(box.x - static_cast<float>(part.x)) * scale,
          (box.y - static_cast<float>(part.y)) * scale, box.width * scale, box.height * scale},
         label,
         ignored});
  };
  for (const FaceBox& face : judged.truth)
    place(face.box, face.label == kUnlabelled ? 1 : face.label, face.ignored);
  for (const FoundFace& face : judged.found)
    if (face.score >= std::min(threshold, piece.weight)) place(face.box, kUnlabelled, false);
  return crop;
}

}  // namespace

Image worst_mistakes(Mistake kind, const DetectionPictures& pictures,
                     const std::vector<int>& chosen, const std::vector<JudgedPicture>& judged,
                     double threshold) {
  std::vector<DetectionCrop> crops;
  for (const Piece& piece : pieces_of(kind, judged, threshold)) {
    const auto index = static_cast<std::size_t>(chosen[piece.picture]);
    crops.push_back(cut_piece(piece, pictures.images[index], judged[piece.picture], threshold));
  }
  if (crops.empty()) crops.push_back({Image(kPieceSide, kPieceSide), {}});
  return crop_sheet(crops, 10);
}

}  // namespace maskwatch::apps
