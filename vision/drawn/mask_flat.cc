#include "vision/drawn/mask_flat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "vision/drawn/mask_fit.h"
#include "vision/image/resize.h"

namespace maskwatch::vision {
namespace {

constexpr int kFlatWidth = 480, kFlatHeight = 320;
constexpr Color kFlatBlue{158, 198, 228}, kFlatShade{132, 172, 204}, kFlatBand{225, 232, 238};

struct FlatMask {
  Image color{kFlatWidth, kFlatHeight};
  Image share{kFlatWidth, kFlatHeight, 1};
};

void cover(FlatMask& flat, const Coverage& shape, Color color) {
  paint(flat.color, shape, color);
  const PixelBox& area = shape.area;
  for (int y = 0; y < area.height; ++y) {
    for (int x = 0; x < area.width; ++x) {
      const float share = shape.share[static_cast<std::size_t>(y) * area.width + x];
      std::uint8_t& at = *flat.share.at(area.x + x, area.y + y);
      at = std::max(at, static_cast<std::uint8_t>(std::lround(255 * share)));
    }
  }
}

// A surgical mask seen from the front: three pleats, hems, and the beginnings of the loops.
FlatMask draw_flat_mask() {
  FlatMask flat;
  std::fill(flat.color.pixels.begin(), flat.color.pixels.end(), std::uint8_t{200});
  const auto stroke = [&](std::initializer_list<Point> points, float thickness, Color color) {
    const std::vector<Point> line(points);
    cover(flat, cover_polyline(line, thickness, false, kFlatWidth, kFlatHeight), color);
  };
  for (const float side : {0.f, 1.f}) {
    const float edge = side > 0 ? 479.f : 1.f, body = side > 0 ? 420.f : 60.f;
    stroke({{body, 70}, {edge, 20}}, 9, kFlatBand);
    stroke({{body, 240}, {edge, 150}}, 9, kFlatBand);
  }
  const Point outline[] = {{50, 62},   {140, 34},  {205, 8},   {240, 2},   {275, 8},
                           {340, 34},  {430, 62},  {436, 150}, {412, 245}, {330, 300},
                           {240, 318}, {150, 300}, {68, 245},  {44, 150}};
  cover(flat, cover_polygon(outline, kFlatWidth, kFlatHeight), kFlatBlue);
  for (const float y : {110.f, 165.f, 220.f})
    stroke({{56, y - 12}, {150, y + 4}, {240, y + 9}, {330, y + 4}, {424, y - 12}}, 5, kFlatShade);
  stroke({{54, 74}, {142, 46}, {207, 20}, {240, 14}, {273, 20}, {338, 46}, {426, 74}}, 3,
         kFlatShade);
  return flat;
}

// Distance of `point` from the line through a and b, cut to whole pixels.
int distance_to_line(Point point, Point a, Point b) {
  const float length = std::hypot(b.x - a.x, b.y - a.y);
  const float cross = (b.y - a.y) * (point.x - a.x) - (b.x - a.x) * (point.y - a.y);
  return static_cast<int>(std::abs(cross) / std::max(length, 1e-3f));
}

void lay_half(MaskedFace& face, const FlatMask& flat, bool left, const PixelBox& at) {
  const Box half{left ? 0.f : kFlatWidth / 2.f, 0, kFlatWidth / 2.f, kFlatHeight};
  const Image color = resize(crop(flat.color, half), at.width, at.height);
  const Image share = resize(crop(flat.share, half), at.width, at.height);
  for (int y = std::max(0, -at.y); y < at.height && at.y + y < face.picture.height; ++y) {
    for (int x = std::max(0, -at.x); x < at.width && at.x + x < face.picture.width; ++x) {
      const int over = *share.at(x, y);
      std::uint8_t* pixel = face.picture.at(at.x + x, at.y + y);
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<std::uint8_t>(
            (pixel[c] * (255 - over) + color.at(x, y)[c] * over + 127) / 255);
      *face.covered.at(at.x + x, at.y + y) = static_cast<std::uint8_t>(over);
    }
  }
}

}  // namespace

MaskedFace paste_flat_mask(const Image& photo, std::span<const Point, 68> landmarks) {
  if (photo.empty() || photo.channels != 3)
    throw std::invalid_argument(
        fmt::format("paste_flat_mask: a picture of {}x{}x{}, but RGB is "
                    "needed",
                    photo.width, photo.height, photo.channels));
  const FittedHead check(landmarks);
  static const FlatMask flat = draw_flat_mask();
  const Point nose = landmarks[28], chin = landmarks[8];
  const auto stretched = [&](int jaw) {
    return static_cast<int>(static_cast<float>(distance_to_line(landmarks[jaw], nose, chin)) *
                            1.2f);
  };
  const int left = std::clamp(stretched(2), 1, 16384), right = std::clamp(stretched(14), 1, 16384);
  const int height =
      std::clamp(static_cast<int>(std::hypot(nose.x - chin.x, nose.y - chin.y)), 1, 16384);
  // The original takes the line's angle, in radians, for degrees, turns a copy by it, and places
  // the mask itself, not turned, by the size of that copy.
  const double angle = std::atan2(chin.y - nose.y, chin.x - nose.x) * std::numbers::pi / 180;
  const double c = std::abs(std::cos(angle)), s = std::abs(std::sin(angle));
  const int width = left + right, offset = width / 2 - left;
  const int turned_width = static_cast<int>(std::ceil(width * c + height * s));
  const int turned_height = static_cast<int>(std::ceil(width * s + height * c));
  const int x = static_cast<int>(std::floor((nose.x + chin.x) / 2)) +
                static_cast<int>(offset * std::cos(angle)) - turned_width / 2;
  const int y = static_cast<int>(std::floor((nose.y + chin.y) / 2)) +
                static_cast<int>(offset * std::sin(angle)) - turned_height / 2;
  MaskedFace out{photo, Image(photo.width, photo.height, 1)};
  lay_half(out, flat, true, {x, y, left, height});
  lay_half(out, flat, false, {x + left, y, right, height});
  return out;
}

}  // namespace maskwatch::vision
