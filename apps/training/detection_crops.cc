#include "apps/training/detection_crops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "apps/common/contact_sheet.h"
#include "apps/training/light.h"
#include "vision/image/draw.h"
#include "vision/image/resize.h"
#include "vision/image/resize_bilinear.h"
#include "vision/masks/labels.h"

namespace maskwatch::apps {
namespace {

using vision::Box;
using vision::Image;
using vision::PixelBox;

// Sizes after scaling, in pixels, and how far a picture may be blown up.
constexpr double kLeastScaledFace = 9, kMostScaledFace = 130;
constexpr double kLeastShare = 0.7, kMostShare = 2.5, kMostScale = 4;
constexpr double kLeastFilled = 0.45;  // of a tile's longer side, by the picture's longest
constexpr int kLeastSource = 8;        // pixels of a picture that a view shows at least

// How a picture is laid on a tile: tile = picture · scale + offset.
struct View {
  double x_scale = 1, y_scale = 1, x_offset = 0, y_offset = 0;
};

double log_uniform(Random& random, double low, double high) {
  return std::exp(random.uniform(std::log(low), std::log(high)));
}

// A face that counts, by chance.
std::optional<Box> random_face(Random& random, const BoxPicture& picture) {
  std::vector<const FaceBox*> faces;
  for (const FaceBox& face : picture.faces)
    if (!face.ignored) faces.push_back(&face);
  if (faces.empty()) return std::nullopt;
  return faces[static_cast<std::size_t>(random.below(static_cast<int>(faces.size())))]->box;
}

// Where the scaled picture begins so that the tile is full, or the whole picture in it.
double random_offset(Random& random, double scaled, double tile) {
  return random.uniform(std::min(tile - scaled, 0.0), std::max(tile - scaled, 0.0));
}

// The same, but with `point` (scaled) somewhere in the tile.
double offset_showing(Random& random, double scaled, double tile, double point) {
  const double low = std::min(tile - scaled, 0.0), high = std::max(tile - scaled, 0.0);
  return std::clamp(random.uniform(0.1, 0.9) * tile - point, low, high);
}

View draw_view(Random& random, const BoxPicture& picture, int crop, int width, int height) {
  const std::optional<Box> face = random_face(random, picture);
  const double longest = std::max(picture.width, picture.height);
  double scale = log_uniform(random, kLeastShare, kMostShare) * crop / longest;
  const bool by_face = random.chance(0.5) && face;
  const double wanted = log_uniform(random, kLeastScaledFace, kMostScaledFace);
  if (by_face) scale = wanted / std::sqrt(static_cast<double>(face->width) * face->height);
  // A picture may be so small that even the greatest scale does not fill the tile.
  scale = std::min(std::max(scale, kLeastFilled * std::max(width, height) / longest), kMostScale);
  const double aspect = std::sqrt(random.uniform(0.9, 1.1));
  View view;
  view.x_scale = scale * aspect;
  view.y_scale = scale / aspect;
  const double scaled_width = picture.width * view.x_scale;
  const double scaled_height = picture.height * view.y_scale;
  if (face && (by_face || random.chance(0.6))) {
    view.x_offset =
        offset_showing(random, scaled_width, width, (face->x + face->width / 2) * view.x_scale);
    view.y_offset =
        offset_showing(random, scaled_height, height, (face->y + face->height / 2) * view.y_scale);
  } else {
    view.x_offset = random_offset(random, scaled_width, width);
    view.y_offset = random_offset(random, scaled_height, height);
  }
  return view;
}

// The whole pixels [begin, begin + count) of an axis of `side` that a tile of `tile` shows.
struct Stretch {
  int begin = 0, count = 0;
  int placed_at = 0, placed_count = 0;  // in the tile
};

Stretch stretch_of(int side, int tile, double scale, double offset) {
  Stretch part;
  part.begin = std::clamp(static_cast<int>(std::floor(-offset / scale)), 0, side - 1);
  const int end =
      std::clamp(static_cast<int>(std::ceil((tile - offset) / scale)), part.begin + 1, side);
  part.count = end - part.begin;
  if (part.count < kLeastSource && side >= kLeastSource) {
    part.count = kLeastSource;
    part.begin = std::min(part.begin, side - kLeastSource);
  }
  part.placed_at = static_cast<int>(std::lround(part.begin * scale + offset));
  part.placed_count = std::max(1, static_cast<int>(std::lround(part.count * scale)));
  return part;
}

void fill(Image& image, Random& random) {
  // Grey is what a network sees beside a picture that does not fill its input.
  std::array<std::uint8_t, 3> color{127, 127, 127};
  if (random.chance(0.5))
    for (std::uint8_t& value : color) value = static_cast<std::uint8_t>(random.below(256));
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = color[i % 3];
}

// A face of the picture as the tile shows it; nothing if it does not.
std::optional<FaceBox> place_face(const FaceBox& face, const Stretch& across, const Stretch& down,
                                  int width, int height) {
  const double x_scale = static_cast<double>(across.placed_count) / across.count;
  const double y_scale = static_cast<double>(down.placed_count) / down.count;
  const double left = (face.box.x - across.begin) * x_scale + across.placed_at;
  const double top = (face.box.y - down.begin) * y_scale + down.placed_at;
  const double right = left + face.box.width * x_scale, bottom = top + face.box.height * y_scale;
  const double x0 = std::max(left, 0.0), x1 = std::min<double>(right, width);
  const double y0 = std::max(top, 0.0), y1 = std::min<double>(bottom, height);
  if (!(x1 > x0 && y1 > y0)) return std::nullopt;
  const double left_over = (x1 - x0) * (y1 - y0) / ((right - left) * (bottom - top));
  FaceBox placed{{static_cast<float>(x0), static_cast<float>(y0), static_cast<float>(x1 - x0),
                  static_cast<float>(y1 - y0)},
                 face.label,
                 face.ignored};
  if (!face.ignored && left_over < kTraceLeft) return std::nullopt;
  placed.ignored |=
      left_over < kFaceLeft || std::min(placed.box.width, placed.box.height) < kLeastFace;
  return placed;
}

// A piece of one picture that fills a tile of width x height.
DetectionCrop make_tile(const DetectionPictures& pictures, int index, int crop, int width,
                        int height, Random& random) {
  const BoxPicture& picture = pictures.data.pictures[static_cast<std::size_t>(index)];
  const Image& image = pictures.images[static_cast<std::size_t>(index)];
  const View view = draw_view(random, picture, crop, width, height);
  const Stretch across = stretch_of(image.width, width, view.x_scale, view.x_offset);
  const Stretch down = stretch_of(image.height, height, view.y_scale, view.y_offset);
  const Box box{static_cast<float>(across.begin), static_cast<float>(down.begin),
                static_cast<float>(across.count), static_cast<float>(down.count)};
  // Programs shrink pictures with one filter or the other.
  const bool bilinear = random.chance(0.3);
  Image piece = bilinear
                    ? vision::resize_bilinear(vision::crop(image, box), across.placed_count,
                                              down.placed_count)
                    : vision::crop_and_resize(image, box, across.placed_count, down.placed_count);
  apply_light(piece, draw_light(random));
  DetectionCrop tile;
  tile.image = Image(width, height);
  fill(tile.image, random);
  vision::paste(tile.image, piece, across.placed_at, down.placed_at);
  for (const FaceBox& face : picture.faces)
    if (const auto placed = place_face(face, across, down, width, height))
      tile.faces.push_back(*placed);
  return tile;
}

void flip(DetectionCrop& crop) {
  crop.image = vision::flip_horizontally(crop.image);
  for (FaceBox& face : crop.faces)
    face.box.x = std::max(static_cast<float>(crop.image.width) - face.box.x - face.box.width, 0.0f);
}

}  // namespace

DetectionCrop make_crop(const DetectionPictures& pictures, std::span<const int> chosen,
                        const CropOptions& options, std::uint64_t step, std::uint64_t index) {
  if (options.size < 32 || chosen.empty())
    throw std::invalid_argument(
        fmt::format("make_crop: size {} from {} pictures", options.size, chosen.size()));
  Random random{options.seed, step, index};
  const int size = options.size;
  const auto any = [&] {
    return chosen[static_cast<std::size_t>(random.below(static_cast<int>(chosen.size())))];
  };
  DetectionCrop crop;
  if (random.chance(options.mosaic)) {
    crop.image = Image(size, size);
    const int x = static_cast<int>(random.uniform(0.3, 0.7) * size);
    const int y = static_cast<int>(random.uniform(0.3, 0.7) * size);
    const PixelBox parts[4] = {
        {0, 0, x, y}, {x, 0, size - x, y}, {0, y, x, size - y}, {x, y, size - x, size - y}};
    for (const PixelBox& part : parts) {
      const int picture = any();
      DetectionCrop tile = make_tile(pictures, picture, size, part.width, part.height, random);
      vision::paste(crop.image, tile.image, part.x, part.y);
      for (FaceBox& face : tile.faces) {
        face.box.x += static_cast<float>(part.x);
        face.box.y += static_cast<float>(part.y);
        crop.faces.push_back(face);
      }
    }
  } else {
    const int picture = any();
    crop = make_tile(pictures, picture, size, size, size, random);
  }
  if (random.chance(0.5)) flip(crop);
  apply_camera(crop.image, draw_camera(random));
  return crop;
}

Image crop_sheet(std::span<const DetectionCrop> crops, int columns) {
  constexpr vision::Color unlabelled{60, 110, 235}, grey{150, 150, 150};
  std::vector<Image> marked;
  int side = 0;
  for (const DetectionCrop& crop : crops) {
    Image& image = marked.emplace_back(crop.image);
    side = std::max({side, image.width, image.height});
    for (const FaceBox& face : crop.faces)
      vision::draw_rectangle(image, face.box, 1,
                             face.ignored ? grey
                             : face.label == kUnlabelled
                                 ? unlabelled
                                 : vision::color_of(vision::meaning_of(
                                       kFaceClasses[static_cast<std::size_t>(face.label)])));
  }
  return contact_sheet(marked, side + 2, columns);
}

}  // namespace maskwatch::apps
