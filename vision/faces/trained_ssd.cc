#include "vision/faces/trained_ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>

#include "vision/image/draw.h"
#include "vision/image/network_input.h"

namespace maskwatch::vision {
namespace {

// Inputs are padded to multiples of this, at the right and below, so that few sizes occur.
constexpr int kGrain = 32;
// The middle of the range, which preprocessing turns into about 0.
constexpr std::uint8_t kPadding = 127;
// Plans are kept for so many sizes, two scales of the proportions that the pictures of a folder
// have, unless the values between their layers take more than this together.
constexpr std::size_t kMostPlans = 16;
constexpr std::int64_t kMostPlanBytes = std::int64_t{256} << 20;
constexpr float kMaxOverlap = 0.45f;
constexpr int kLeastScale = 32, kMostScale = 4096;

int padded(int side) { return (side + kGrain - 1) / kGrain * kGrain; }

Image padded(const Image& image) {
  Image whole(padded(image.width), padded(image.height));
  std::fill(whole.pixels.begin(), whole.pixels.end(), kPadding);
  paste(whole, image, 0, 0);
  return whole;
}

Image scaled(const Image& image, int longest_side) {
  const double scale = static_cast<double>(longest_side) / std::max(image.width, image.height);
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(length * scale)));
  };
  Image small = resize(image, side(image.width), side(image.height));
  return small.channels == 3 ? small : to_rgb(small);
}

float size_of(const nn::CornerBox& box) { return std::sqrt(nn::area_of(box)); }

}  // namespace

TrainedSsd::Compiled::Compiled(const nn::SsdNetwork& network, int height, int width)
    : plan({height, width, 3}, 1,
           [&](nn::PlanBuilder& builder) {
             builder.output(network.lower(builder, builder.input()));
           }),
      anchors(network.anchors(height, width)) {}

TrainedSsd::TrainedSsd(const nn::Safetensors& contents, const std::string& path)
    : loaded_(nn::make_ssd(contents, path)), network_(loaded_.get()) {}

TrainedSsd::Compiled& TrainedSsd::compiled_for(int height, int width) {
  const auto fits = [&](const Compiled& compiled) {
    return compiled.plan.input_shape() == nn::PictureShape{height, width, 3};
  };
  const auto found = std::find_if(compiled_.begin(), compiled_.end(), fits);
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
  } else {
    compiled_.emplace_front(*network_, height, width);
    compiled_bytes_ += compiled_.front().plan.arena_bytes();
    while (compiled_.size() > kMostPlans ||
           (compiled_.size() > 1 && compiled_bytes_ > kMostPlanBytes)) {
      compiled_bytes_ -= compiled_.back().plan.arena_bytes();
      compiled_.pop_back();
    }
  }
  return compiled_.front();
}

void TrainedSsd::find(const Image& image, const SsdScale& scale, float min_score,
                      std::vector<nn::SsdBox>& found) {
  if (scale.longest_side < kLeastScale || scale.longest_side > kMostScale)
    throw std::invalid_argument(fmt::format("SsdDetector: scale {} is not in {}..{}",
                                            scale.longest_side, kLeastScale, kMostScale));
  const Image small = scaled(image, scale.longest_side), whole = padded(small);
  input_.resize(whole.pixels.size());
  to_network_input(whole, input_.data(), network_->options().backbone.preprocessing);
  Compiled& compiled = compiled_for(whole.height, whole.width);
  compiled.plan.run(input_.data(), 1);
  const std::span<const float> outputs(
      compiled.plan.output(), static_cast<std::size_t>(compiled.plan.output_shape().count()));
  const float x = static_cast<float>(image.width) / static_cast<float>(small.width);
  const float y = static_cast<float>(image.height) / static_cast<float>(small.height);
  for (nn::SsdBox& face : nn::decode(outputs, compiled.anchors, min_score)) {
    if (const float size = size_of(face.box); size < scale.least || size > scale.most) continue;
    face.box = {face.box.x0 * x, face.box.y0 * y, face.box.x1 * x, face.box.y1 * y};
    found.push_back(std::move(face));
  }
}

std::vector<LabelledFace> TrainedSsd::detect(const Image& image, const SsdOptions& options) {
  if (image.empty()) throw std::invalid_argument("SsdDetector: an empty picture");
  std::vector<nn::SsdBox> found;
  for (const SsdScale& scale : options.scales) find(image, scale, options.confidence, found);
  std::vector<LabelledFace> faces;
  for (nn::SsdBox& face :
       nn::suppress(std::move(found), {.max_overlap = options.max_overlap.value_or(kMaxOverlap)})) {
    const auto& [x0, y0, x1, y1] = face.box;
    const Box box = cut_off({x0, y0, x1 - x0, y1 - y0}, image.width, image.height);
    if (box.width >= 1 && box.height >= 1)
      faces.push_back({{box, face.score}, std::move(face.probabilities)});
  }
  return faces;
}

}  // namespace maskwatch::vision
