#include "vision/image/draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

void require_rgb(const Image& image, const char* operation) {
  if (image.channels != 3)
    throw std::invalid_argument(
        fmt::format("{}: a picture of {} channels, but RGB is needed", operation, image.channels));
}

// The pixels between two corners that lie in the picture; empty where none do or a corner is not a
// number.
PixelBox pixels_between(Point low, Point high, int width, int height) {
  const auto edge = [](double at, int end) {
    return at > 0 ? static_cast<int>(std::min<double>(at, end)) : 0;
  };
  const int left = edge(std::floor(low.x), width), right = edge(std::ceil(high.x), width);
  const int top = edge(std::floor(low.y), height), bottom = edge(std::ceil(high.y), height);
  return {left, top, std::max(0, right - left), std::max(0, bottom - top)};
}

PixelBox bounds(std::span<const Point> points, float margin, int width, int height) {
  if (points.empty()) return {};
  Point low = points[0], high = points[0];
  for (const Point& p : points) {
    if (!std::isfinite(p.x) || !std::isfinite(p.y)) return {};
    low = {std::min(low.x, p.x), std::min(low.y, p.y)};
    high = {std::max(high.x, p.x), std::max(high.y, p.y)};
  }
  return pixels_between({low.x - margin, low.y - margin}, {high.x + margin, high.y + margin}, width,
                        height);
}

// Signed area to the right of edges, as differences along each row: a running sum gives the
// winding-weighted coverage. Coordinates are relative to the area.
class AreaAccumulator {
 public:
  AreaAccumulator(int width, int height)
      : width_(width),
        height_(height),
        differences_(static_cast<std::size_t>(width + 2) * height) {}

  void add_edge(double x0, double y0, double x1, double y1) {
    if (y0 == y1) return;
    const double sign = y0 < y1 ? 1 : -1;
    if (sign < 0) {
      std::swap(x0, x1);
      std::swap(y0, y1);
    }
    const double slope = (x1 - x0) / (y1 - y0);
    const int first = static_cast<int>(std::clamp<double>(std::floor(y0), 0, height_));
    const int last = static_cast<int>(std::clamp<double>(std::floor(y1), -1, height_ - 1));
    for (int y = first; y <= last; ++y) {
      const double top = std::max<double>(y, y0), bottom = std::min<double>(y + 1, y1);
      if (bottom <= top) continue;
      add_piece(y, sign * (bottom - top), x0 + slope * (top - y0), x0 + slope * (bottom - y0));
    }
  }

  std::vector<float> coverage() const {
    std::vector<float> out(static_cast<std::size_t>(width_) * height_);
    for (int y = 0; y < height_; ++y) {
      double sum = 0;
      for (int x = 0; x < width_; ++x) {
        sum += differences_[static_cast<std::size_t>(y) * (width_ + 2) + x];
        out[static_cast<std::size_t>(y) * width_ + x] =
            static_cast<float>(std::min(1.0, std::abs(sum)));
      }
    }
    return out;
  }

 private:
  // A piece of an edge inside one row, `cover` high, from `a` to `b` across.
  void add_piece(int y, double cover, double a, double b) {
    a = std::clamp<double>(a, 0, width_);
    b = std::clamp<double>(b, 0, width_);
    if (a > b) std::swap(a, b);
    double* const row = &differences_[static_cast<std::size_t>(y) * (width_ + 2)];
    const int first = static_cast<int>(a), last = static_cast<int>(b);
    if (first == last) {
      const double right = 1 - ((a + b) / 2 - first);
      row[first] += cover * right;
      row[first + 1] += cover * (1 - right);
      return;
    }
    for (int x = first; x <= last; ++x) {
      const double from = std::max<double>(a, x), to = std::min<double>(b, x + 1);
      const double share = cover * (to - from) / (b - a), right = 1 - ((from + to) / 2 - x);
      row[x] += share * right;
      row[x + 1] += share * (1 - right);
    }
  }

  int width_, height_;
  std::vector<double> differences_;
};

float distance_to_segment(float px, float py, Point a, Point b) {
  const float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const float t =
      length > 0 ? std::clamp(((px - a.x) * dx + (py - a.y) * dy) / length, 0.f, 1.f) : 0;
  return std::hypot(px - a.x - t * dx, py - a.y - t * dy);
}

std::uint8_t mix(std::uint8_t under, std::uint8_t over, float share) {
  return static_cast<std::uint8_t>(std::lround(
      static_cast<float>(under) + (static_cast<float>(over) - static_cast<float>(under)) * share));
}

void blend(std::uint8_t* pixel, Color color, float share) {
  pixel[0] = mix(pixel[0], color.r, share);
  pixel[1] = mix(pixel[1], color.g, share);
  pixel[2] = mix(pixel[2], color.b, share);
}

template <class ColorAt>
void paint_with(Image& image, const Coverage& coverage, const ColorAt& color_at, float opacity) {
  require_rgb(image, "paint");
  const PixelBox& area = coverage.area;
  opacity = std::clamp(opacity, 0.f, 1.f);
  const int right = std::min(area.x + area.width, image.width);
  const int bottom = std::min(area.y + area.height, image.height);
  for (int y = std::max(area.y, 0); y < bottom; ++y) {
    const float* share = &coverage.share[static_cast<std::size_t>(y - area.y) * area.width];
    for (int x = std::max(area.x, 0); x < right; ++x)
      if (share[x - area.x] > 0) blend(image.at(x, y), color_at(x, y), opacity * share[x - area.x]);
  }
}

}  // namespace

Coverage cover_polygon(std::span<const Point> points, int width, int height) {
  const PixelBox area = bounds(points, 0, width, height);
  if (points.size() < 3 || area.width == 0 || area.height == 0) return {};
  AreaAccumulator sum(area.width, area.height);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point &a = points[i], &b = points[(i + 1) % points.size()];
    sum.add_edge(a.x - area.x, a.y - area.y, b.x - area.x, b.y - area.y);
  }
  return {area, sum.coverage()};
}

Coverage cover_polyline(std::span<const Point> points, float thickness, bool closed, int width,
                        int height) {
  const float reach = thickness / 2 + .5f;
  Coverage out{bounds(points, reach, width, height), {}};
  if (!(thickness > 0) || out.area.width == 0 || out.area.height == 0) return {};
  out.share.resize(static_cast<std::size_t>(out.area.width) * out.area.height);
  const float strength = std::min(thickness, 1.f);  // hairlines fade instead of vanishing
  const std::size_t pieces = closed ? points.size() : std::max<std::size_t>(points.size() - 1, 1);
  for (std::size_t i = 0; i < pieces; ++i) {
    const Point ends[2] = {points[i], points[(i + 1) % points.size()]};
    const PixelBox near = bounds(ends, reach, width, height);
    for (int y = near.y; y < near.y + near.height; ++y) {
      for (int x = near.x; x < near.x + near.width; ++x) {
        const float distance = distance_to_segment(static_cast<float>(x) + .5f,
                                                   static_cast<float>(y) + .5f, ends[0], ends[1]);
        const float covered = std::clamp(std::max(thickness, 1.f) / 2 + .5f - distance, 0.f, 1.f);
        float& share =
            out.share[static_cast<std::size_t>(y - out.area.y) * out.area.width + (x - out.area.x)];
        share = std::max(share, covered * strength);
      }
    }
  }
  return out;
}

void paint(Image& image, const Coverage& coverage, const Paint& color, float opacity) {
  paint_with(
      image, coverage,
      [&](int x, int y) { return color(static_cast<float>(x) + .5f, static_cast<float>(y) + .5f); },
      opacity);
}

void paint(Image& image, const Coverage& coverage, Color color, float opacity) {
  paint_with(
      image, coverage, [&](int, int) { return color; }, opacity);
}

void fill_polygon(Image& image, std::span<const Point> points, Color color, float opacity) {
  paint(image, cover_polygon(points, image.width, image.height), color, opacity);
}

void fill_polygon(Image& image, std::span<const Point> points, const Paint& color, float opacity) {
  paint(image, cover_polygon(points, image.width, image.height), color, opacity);
}

void draw_polyline(Image& image, std::span<const Point> points, float thickness, Color color,
                   bool closed, float opacity) {
  paint(image, cover_polyline(points, thickness, closed, image.width, image.height), color,
        opacity);
}

std::vector<Point> ellipse_points(Point centre, float radius_x, float radius_y, float angle) {
  const float largest = std::clamp(std::max(std::abs(radius_x), std::abs(radius_y)), 0.f, 1e6f);
  const int count = 16 + static_cast<int>(4 * std::sqrt(largest));
  const float c = std::cos(angle), s = std::sin(angle);
  std::vector<Point> out;
  for (int i = 0; i < count; ++i) {
    const float turn =
        2 * std::numbers::pi_v<float> * static_cast<float>(i) / static_cast<float>(count);
    const float x = radius_x * std::cos(turn), y = radius_y * std::sin(turn);
    out.push_back({centre.x + c * x - s * y, centre.y + s * x + c * y});
  }
  return out;
}

void fill_ellipse(Image& image, Point centre, float radius_x, float radius_y, Color color,
                  float opacity, float angle) {
  fill_polygon(image, ellipse_points(centre, radius_x, radius_y, angle), color, opacity);
}

void fill_rectangle(Image& image, const Box& box, Color color, float opacity) {
  const float right = box.x + box.width, bottom = box.y + box.height;
  const Point corners[4] = {{box.x, box.y}, {right, box.y}, {right, bottom}, {box.x, bottom}};
  fill_polygon(image, corners, color, opacity);
}

void draw_rectangle(Image& image, const Box& box, int line_width, Color color) {
  const float x = std::round(box.x), y = std::round(box.y);
  const float width = std::round(box.x + box.width) - x,
              height = std::round(box.y + box.height) - y;
  const float line = std::min({static_cast<float>(line_width), width / 2, height / 2});
  fill_rectangle(image, {x, y, width, line}, color);
  fill_rectangle(image, {x, y + height - line, width, line}, color);
  fill_rectangle(image, {x, y + line, line, height - 2 * line}, color);
  fill_rectangle(image, {x + width - line, y + line, line, height - 2 * line}, color);
}

int line_width_for(const Image& image) {
  return std::max(1, static_cast<int>(std::lround(std::min(image.width, image.height) / 240.0)));
}

float text_height_for(const Image& image) {
  return std::max(12.f, static_cast<float>(std::min(image.width, image.height)) / 30);
}

namespace {

constexpr float kLeastLetters = 7;

struct Tab {
  Box box;
  Point text;
  float height = 0;  // of the letters
};

// Above the box, or inside it; letters of `height`, or smaller where the picture is too narrow.
Tab place_tab(const Image& image, const Box& box, std::string_view text, float height) {
  const float image_width = static_cast<float>(image.width);
  const float image_height = static_cast<float>(image.height);
  const float full = text_size(text, height).width + height * .5f;
  if (full > image_width) height = std::max(kLeastLetters, height * image_width / full);
  const float padding = std::round(height * .25f);
  const TextSize size = text_size(text, height);
  const float tab_width = std::ceil(size.width) + 2 * padding;
  const float tab_height = std::ceil(size.height) + std::round(padding * .5f);
  const float left = std::clamp(std::round(box.x), 0.f, std::max(0.f, image_width - tab_width));
  const float above = std::round(box.y) - tab_height;
  const float inside = std::round(box.y) + static_cast<float>(line_width_for(image));
  const float top =
      std::clamp(above >= 0 ? above : inside, 0.f, std::max(0.f, image_height - tab_height));
  return {{left, top, tab_width, tab_height},
          {left + padding, top + std::round(padding * .25f)},
          height};
}

void draw_tab(Image& image, const Tab& tab, std::string_view text, Color color) {
  fill_rectangle(image, tab.box, color);
  const int brightness = 299 * color.r + 587 * color.g + 114 * color.b;
  const Color letters = brightness > 150'000 ? Color{0, 0, 0} : Color{255, 255, 255};
  draw_text(image, tab.text, text, tab.height, letters);
}

}  // namespace

void draw_box(Image& image, const Box& box, Color color) {
  require_rgb(image, "draw_box");
  constexpr float kSidesOfLine = 15;
  const float most = std::min(box.width, box.height) / kSidesOfLine;
  draw_rectangle(image, box,
                 std::max(1, static_cast<int>(std::min<float>(line_width_for(image), most))),
                 color);
}

void draw_tabs(Image& image, std::span<const Label> labels) {
  require_rgb(image, "draw_tabs");
  constexpr float kSmaller = .85f;
  constexpr float kCommon = 12;
  const float largest = text_height_for(image);
  std::vector<Box> tabs;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& [box, text, color] = labels[i];
    if (text.empty()) continue;
    const auto is_free = [&](const Box& tab) {
      for (const Box& other : tabs)
        if (intersection_area(tab, other) > 0) return false;
      for (std::size_t k = 0; k < labels.size(); ++k)
        if (k != i && intersection_area(tab, labels[k].box) > 0) return false;
      return true;
    };
    const float full = std::min(largest, std::max(kCommon, box.height / 2));
    for (float height = full; height >= kLeastLetters; height *= kSmaller) {
      const Tab tab = place_tab(image, box, text, height);
      if (!is_free(tab.box)) continue;
      draw_tab(image, tab, text, color);
      tabs.push_back(tab.box);
      break;
    }
  }
}

void paste(Image& image, const Image& part, int x, int y) {
  if (image.channels != part.channels)
    throw std::invalid_argument(fmt::format("paste: a picture of {} channels onto one of {}",
                                            part.channels, image.channels));
  const std::int64_t left = std::max(0, x),
                     right = std::min<std::int64_t>(image.width, std::int64_t{x} + part.width);
  const std::int64_t bottom = std::min<std::int64_t>(image.height, std::int64_t{y} + part.height);
  if (left >= right) return;
  for (std::int64_t row = std::max(0, y); row < bottom; ++row)
    std::copy_n(part.at(static_cast<int>(left - x), static_cast<int>(row - y)),
                (right - left) * image.channels,
                image.at(static_cast<int>(left), static_cast<int>(row)));
}

}  // namespace maskwatch::vision
