#include "vision/faces/trained_ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/parallel_try.h"
#include "vision/image/draw.h"
#include "vision/image/network_input.h"
#include "vision/image/resize.h"

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
constexpr int kLeastScale = 32, kMostScale = 4096, kMostTiledScale = 65535;
// Tiles overlap by the largest size of a face so many times: boxes are higher than the square root
// of their area, and must keep clear of both edges.
constexpr float kOverlap = 1.3f;
// Pixels: a box that comes so near to the edge of a tile is cut off by it.
constexpr float kAtEdge = 2;

int padded(int side) { return (side + kGrain - 1) / kGrain * kGrain; }

// The picture with its longest side as long as that, in RGB: itself, or in the memory of `scaled`.
ImageView scaled_to(const ImageView& image, int longest_side, Image& scaled) {
  const double scale = static_cast<double>(longest_side) / std::max(image.width, image.height);
  const auto side = [&](int length) {
    return std::max(1, static_cast<int>(std::lround(length * scale)));
  };
  const int width = side(image.width), height = side(image.height);
  const bool as_it_is = width == image.width && height == image.height;
  if (as_it_is && image.channels == 3) return image;
  if (!as_it_is) resize(image, width, height, scaled);
  if (image.channels != 3) scaled = to_rgb(as_it_is ? image : scaled);
  return scaled;
}

ImageView part_of(const ImageView& image, const PixelBox& part) {
  return {image.at(part.x, part.y), part.width, part.height, image.channels, image.stride};
}

void check(const SsdScale& scale) {
  const int most = scale.tile > 0 ? kMostTiledScale : kMostScale;
  if (scale.longest_side < kLeastScale || scale.longest_side > most)
    throw std::invalid_argument(fmt::format("SsdDetector: scale {} is not in {}..{}",
                                            scale.longest_side, kLeastScale, most));
  if (scale.tile > 0 && !(scale.tile >= kLeastScale && scale.most * 3 <= scale.tile))
    throw std::invalid_argument(
        fmt::format("SsdDetector: tiles of {} pixels for faces of {}", scale.tile, scale.most));
}

// Where tiles begin that cover a length together; one is enough where it is not longer than a tile.
std::vector<int> tile_starts(int length, int tile, int overlap) {
  const int rest = std::max(length - tile, 0), step = tile - overlap;
  const int count = 1 + (rest + step - 1) / step;
  std::vector<int> starts{0};
  for (int i = 1; i < count; ++i)
    starts.push_back(static_cast<int>(std::int64_t{i} * rest / (count - 1)));
  return starts;
}

// Whether a box in a tile that begins there, of a picture of `length`, is cut off by the tile.
bool is_cut(float from, float to, int start, int tile, int length) {
  return (start > 0 && from < kAtEdge) ||
         (start + tile < length && to > static_cast<float>(tile) - kAtEdge);
}

float size_of(const nn::CornerBox& box) { return std::sqrt(nn::area_of(box)); }

}  // namespace

TrainedSsd::Compiled::Compiled(const nn::SsdNetwork& network, int height, int width,
                               kernels::Device& device, std::int64_t capacity)
    : plan(network.compile(height, width, device, capacity)),
      anchors(network.anchors(height, width)) {}

TrainedSsd::TrainedSsd(const nn::Safetensors& contents, const std::string& path,
                       kernels::Device& device)
    : loaded_(nn::make_ssd(contents, path)), network_(loaded_.get()), device_(&device) {}

// A plan for many pictures takes one as well; the plan for one takes less memory.
TrainedSsd::Compiled& TrainedSsd::compiled_for(int height, int width, std::size_t pictures) {
  const auto fits = [&](const Compiled& compiled) {
    return compiled.plan.input_shape() == nn::ActivationShape{height, width, 3} &&
           compiled.plan.capacity() >= static_cast<std::int64_t>(pictures);
  };
  const auto found = std::find_if(compiled_.begin(), compiled_.end(), fits);
  if (found != compiled_.end()) {
    compiled_.splice(compiled_.begin(), compiled_, found);
  } else {
    compiled_.emplace_front(*network_, height, width, *device_,
                            pictures > 1 ? static_cast<std::int64_t>(kMostTogether) : 1);
    compiled_bytes_ += compiled_.front().plan.held_bytes();
    while (compiled_.size() > kMostPlans ||
           (compiled_.size() > 1 && compiled_bytes_ > kMostPlanBytes)) {
      compiled_bytes_ -= compiled_.back().plan.held_bytes();
      compiled_.pop_back();
    }
  }
  return compiled_.front();
}

TrainedSsd::BoxesOfImages TrainedSsd::look_at(std::span<const ImageView> images,
                                              const PixelBox& part, float min_score) {
  const int width = padded(part.width), height = padded(part.height);
  Compiled& compiled = compiled_for(height, width, images.size());
  const auto values = static_cast<std::size_t>(compiled.plan.input_shape().count());
  if (input_size_ < images.size() * values) {
    input_size_ = images.size() * values;
    input_ = device_->staging(input_size_ * sizeof(float));
  }
  float* const input = static_cast<float*>(input_.get());
  parallel_try(images.size(), [&](std::size_t i) {
    to_network_input(part_of(images[i], part), width, height, kPadding, input + i * values,
                     network_->options().backbone.preprocessing);
  });
  compiled.plan.run(input, static_cast<std::int64_t>(images.size()));
  const auto results = static_cast<std::size_t>(compiled.plan.output_shape().count());
  BoxesOfImages boxes(images.size());
  parallel_try(images.size(), [&](std::size_t i) {
    boxes[i] =
        nn::decode({compiled.plan.output() + i * results, results}, compiled.anchors, min_score);
  });
  return boxes;
}

void TrainedSsd::find(std::span<const ImageView> images, const SsdScale& scale, float min_score,
                      BoxesOfImages& found) {
  check(scale);
  // Pictures in tiles may be of any size: their memory is given back.
  std::vector<Image> large;
  std::vector<Image>& scaled = scale.tile > 0 ? large : scaled_;
  scaled.resize(std::max(scaled.size(), images.size()));
  std::vector<ImageView> small(images.size());
  parallel_try(images.size(), [&](std::size_t i) {
    small[i] = scaled_to(images[i], scale.longest_side, scaled[i]);
  });
  const int whole_width = small[0].width, whole_height = small[0].height;
  const int tile = scale.tile > 0 ? scale.tile : std::max(whole_width, whole_height);
  const int overlap = scale.tile > 0 ? static_cast<int>(kOverlap * scale.most) : 0;
  const int width = std::min(tile, whole_width), height = std::min(tile, whole_height);
  const float x = static_cast<float>(images[0].width) / static_cast<float>(whole_width);
  const float y = static_cast<float>(images[0].height) / static_cast<float>(whole_height);
  for (const int top : tile_starts(whole_height, tile, overlap))
    for (const int left : tile_starts(whole_width, tile, overlap)) {
      const PixelBox part{left, top, width, height};
      BoxesOfImages boxes = look_at(small, part, min_score);
      for (std::size_t i = 0; i < images.size(); ++i)
        for (nn::SsdBox& face : boxes[i]) {
          const auto& [x0, y0, x1, y1] = face.box;
          const float size = size_of(face.box);
          if (size < scale.least || size > scale.most || is_cut(x0, x1, left, width, whole_width) ||
              is_cut(y0, y1, top, height, whole_height))
            continue;
          const auto from_left = static_cast<float>(left), from_top = static_cast<float>(top);
          face.box = {(x0 + from_left) * x, (y0 + from_top) * y, (x1 + from_left) * x,
                      (y1 + from_top) * y};
          found[i].push_back(std::move(face));
        }
    }
}

std::vector<std::vector<LabelledFace>> TrainedSsd::detect_together(
    std::span<const ImageView> images, const SsdOptions& options) {
  BoxesOfImages found(images.size());
  for (const SsdScale& scale : options.scales) find(images, scale, options.confidence, found);
  const nn::SuppressionOptions suppression{.max_overlap =
                                               options.max_overlap.value_or(kMaxOverlap)};
  std::vector<std::vector<LabelledFace>> faces(images.size());
  parallel_try(images.size(), [&](std::size_t i) {
    for (nn::SsdBox& face : nn::suppress(std::move(found[i]), suppression)) {
      const auto& [x0, y0, x1, y1] = face.box;
      const Box box = cut_off({x0, y0, x1 - x0, y1 - y0}, images[i].width, images[i].height);
      if (box.width >= 1 && box.height >= 1)
        faces[i].push_back({{box, face.score}, std::move(face.probabilities)});
    }
  });
  return faces;
}

std::vector<LabelledFace> TrainedSsd::detect(const ImageView& image, const SsdOptions& options) {
  return std::move(detect_all(std::span(&image, 1), options)[0]);
}

std::vector<std::vector<LabelledFace>> TrainedSsd::detect_all(std::span<const ImageView> images,
                                                              const SsdOptions& options) {
  std::vector<std::vector<LabelledFace>> faces;
  for (const ImageView& image : images) {
    if (image.empty()) throw std::invalid_argument("SsdDetector: an empty picture");
    if (image.width != images[0].width || image.height != images[0].height)
      throw std::invalid_argument(fmt::format("SsdDetector: pictures of {}x{} and {}x{} together",
                                              images[0].width, images[0].height, image.width,
                                              image.height));
  }
  for (std::size_t done = 0; done < images.size(); done += kMostTogether) {
    const auto batch = images.subspan(done, std::min(kMostTogether, images.size() - done));
    for (auto& one : detect_together(batch, options)) faces.push_back(std::move(one));
  }
  return faces;
}

}  // namespace maskwatch::vision
