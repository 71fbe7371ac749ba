#include "apps/training/detection_task.h"

#include <algorithm>
#include <cmath>

#include "apps/training/detection_report.h"
#include "base/parallel.h"
#include "vision/image/network_input.h"

namespace maskwatch::apps {
namespace {

using vision::Box;
using vision::Image;

constexpr float kLeastScore = 0.05f;  // of what is judged
constexpr double kThreshold = 0.5;

// A size at which pictures are looked at, and which boxes it is trusted with: their longer side in
// the network's pixels.
struct Look {
  int side;
  float least_box, most_box;
};
constexpr Look kLooks[] = {{320, 16, 1e9f}, {640, 0, 110}};
constexpr std::int64_t kPicturesAtOnce = 8;

nn::SsdTarget target_of(const FaceBox& face) {
  const Box& box = face.box;
  return {{box.x, box.y, box.x + box.width, box.y + box.height},
          face.ignored                ? nn::kIgnoredRegion
          : face.label == kUnlabelled ? nn::kUnknownClass
                                      : face.label};
}

// Scales a picture so that its longest side is `side` and lays it into the upper left corner of a
// grey square. Returns the scale.
double lay_out(const Image& image, int side, nn::Preprocessing preprocessing, float* input) {
  const double scale = static_cast<double>(side) / std::max(image.width, image.height);
  const auto scaled = [&](int length) {
    return std::clamp(static_cast<int>(std::lround(length * scale)), 1, side);
  };
  Image square(side, side);
  std::fill(square.pixels.begin(), square.pixels.end(), std::uint8_t{127});
  const Image small = vision::resize(image, scaled(image.width), scaled(image.height));
  for (int y = 0; y < small.height; ++y)
    std::copy_n(small.row(y), static_cast<std::size_t>(small.width) * 3, square.row(y));
  vision::to_network_input(square, input, preprocessing);
  return scale;
}

// Boxes in the picture's pixels.
void collect(std::span<const float> outputs, const std::vector<nn::Anchor>& anchors,
             const Look& look, double scale, std::vector<nn::SsdBox>& boxes) {
  for (nn::SsdBox& box : nn::decode(outputs, anchors, kLeastScore)) {
    const float longer = std::max(box.box.x1 - box.box.x0, box.box.y1 - box.box.y0);
    if (longer < look.least_box || longer > look.most_box) continue;
    for (float* edge : {&box.box.x0, &box.box.y0, &box.box.x1, &box.box.y1})
      *edge = static_cast<float>(*edge / scale);
    boxes.push_back(std::move(box));
  }
}

void look_at(const nn::SsdNetwork& network, const Look& look, const DetectionPictures& pictures,
             const std::vector<int>& chosen, std::vector<std::vector<nn::SsdBox>>& boxes) {
  nn::Plan plan({look.side, look.side, 3}, kPicturesAtOnce, [&](nn::PlanBuilder& builder) {
    builder.output(network.lower(builder, builder.input()));
  });
  const auto anchors = network.anchors(look.side, look.side);
  const std::size_t row = static_cast<std::size_t>(5 + network.classes());
  const std::int64_t input_size = std::int64_t{3} * look.side * look.side;
  const auto preprocessing = network.options().backbone.preprocessing;
  const nn::Tensor inputs = nn::Tensor::empty({kPicturesAtOnce, look.side, look.side, 3});
  const auto total = static_cast<std::int64_t>(chosen.size());
  for (std::int64_t begin = 0; begin < total; begin += kPicturesAtOnce) {
    const std::int64_t count = std::min(kPicturesAtOnce, total - begin);
    std::vector<double> scales(static_cast<std::size_t>(count));
    const auto picture_of = [&](std::int64_t i) {
      return static_cast<std::size_t>(chosen[static_cast<std::size_t>(begin + i)]);
    };
    parallel_for(count, [&](std::int64_t i) {
      scales[static_cast<std::size_t>(i)] = lay_out(pictures.images[picture_of(i)], look.side,
                                                    preprocessing, inputs.data() + i * input_size);
    });
    plan.run(inputs.data(), count);
    for (std::int64_t i = 0; i < count; ++i)
      collect({plan.output() + static_cast<std::size_t>(i) * anchors.size() * row,
               anchors.size() * row},
              anchors, look, scales[static_cast<std::size_t>(i)],
              boxes[static_cast<std::size_t>(begin + i)]);
  }
}

// Cut off at the picture's edges; nothing where none of it is inside.
std::optional<FoundFace> found_face(const nn::SsdBox& box, const Image& image) {
  const float x0 = std::max(box.box.x0, 0.0f), y0 = std::max(box.box.y0, 0.0f);
  const float x1 = std::min(box.box.x1, static_cast<float>(image.width));
  const float y1 = std::min(box.box.y1, static_cast<float>(image.height));
  if (!(x1 > x0 && y1 > y0)) return std::nullopt;
  const auto best = std::max_element(box.probabilities.begin(), box.probabilities.end());
  return FoundFace{
      {x0, y0, x1 - x0, y1 - y0}, box.score, static_cast<int>(best - box.probabilities.begin())};
}

}  // namespace

std::vector<JudgedPicture> judge_pictures(const nn::SsdNetwork& network,
                                          const DetectionPictures& pictures,
                                          const std::vector<int>& chosen) {
  std::vector<std::vector<nn::SsdBox>> boxes(chosen.size());
  for (const Look& look : kLooks) look_at(network, look, pictures, chosen, boxes);
  std::vector<JudgedPicture> judged(chosen.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto index = static_cast<std::size_t>(chosen[i]);
    judged[i].truth = pictures.data.pictures[index].faces;
    for (const nn::SsdBox& box : nn::suppress(std::move(boxes[i])))
      if (const auto face = found_face(box, pictures.images[index]))
        judged[i].found.push_back(*face);
  }
  return judged;
}

DetectionTask::DetectionTask(nn::SsdNetwork& network, const DetectionPictures& pictures,
                             const DetectionSplit& split, const DetectionTaskOptions& options)
    : network_(network),
      pictures_(pictures),
      split_(split),
      options_(options),
      anchors_(network.anchors(options.batches.crops.size, options.batches.crops.size)) {}

void DetectionTask::prepare(std::int64_t begin, std::int64_t end) {
  loader_ =
      std::make_unique<DetectionLoader>(pictures_, split_.train, options_.batches, begin, end);
}

nn::Tensor DetectionTask::loss(Figures& figures) {
  const DetectionBatch batch = loader_->next();
  std::vector<std::vector<nn::SsdTarget>> targets;
  for (const auto& faces : batch.faces) {
    targets.emplace_back();
    for (const FaceBox& face : faces) targets.back().push_back(target_of(face));
  }
  nn::SsdLossParts parts;
  const nn::Tensor loss =
      nn::ssd_loss(network_.forward(batch.inputs), anchors_, targets, options_.loss, &parts);
  figures = {{"face", parts.face}, {"box", parts.box}, {"class", parts.classes}};
  return loss;
}

Figures DetectionTask::validate() {
  loader_.reset();
  const auto judged = judge_pictures(network_, pictures_, split_.validation);
  const DetectionFigures figures = detection_figures(judged, kThreshold);
  const FaceShare& share = figures.at[0].shares[1];
  return {{"AP50", figures.any.at_50},
          {"AP50:95", figures.any.at_50_95},
          {"found", share.found},
          {"right", share.right},
          {"false", figures.false_on_backgrounds}};
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
