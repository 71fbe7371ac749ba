#include "apps/training/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "vision/image/draw.h"

namespace maskwatch::apps {
namespace {

using vision::Color;
using vision::Image;
using vision::Point;

constexpr float kLeft = 76, kTop = 34, kSide = 480;
constexpr std::array<Color, 7> kColors{{{0, 0, 0},
                                        {40, 160, 70},
                                        {215, 45, 45},
                                        {235, 145, 20},
                                        {60, 170, 220},
                                        {60, 90, 220},
                                        {130, 60, 190}}};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  double share(double value) const { return (value - low) / (high - low); }
};

Range range_of(double low, double high, const std::vector<Curve>& curves, bool of_x) {
  if (low < high) return {low, high};
  Range range;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points)
      if (std::isfinite(y)) range.add(of_x ? x : y);
  if (range.low > range.high) return {0, 1};
  if (range.low == range.high) range.high = range.low + std::max(std::abs(range.low), 1.0) * 0.1;
  return range;
}

Point place(double x_share, double y_share) {
  return {kLeft + static_cast<float>(x_share) * kSide,
          kTop + static_cast<float>(1 - y_share) * kSide};
}

void draw_axes(Image& image, const ChartOptions& options, const Range& x, const Range& y) {
  constexpr Color grey{205, 205, 205}, black{20, 20, 20};
  for (int line = 0; line <= 5; ++line) {
    const double share = line / 5.0;
    const Point across[2] = {place(0, share), place(1, share)};
    const Point up[2] = {place(share, 0), place(share, 1)};
    vision::draw_polyline(image, across, 1, grey);
    vision::draw_polyline(image, up, 1, grey);
    const std::string left = fmt::format("{:.3g}", y.low + share * (y.high - y.low));
    const std::string below = fmt::format("{:.6g}", x.low + share * (x.high - x.low));
    vision::draw_text(image, {across[0].x - vision::text_size(left, 14).width - 6, across[0].y - 8},
                      left, 14, black);
    vision::draw_text(image, {up[0].x - vision::text_size(below, 14).width / 2, up[0].y + 6}, below,
                      14, black);
  }
  vision::draw_text(image, {8, 8}, options.title, 16, black);
  vision::draw_text(image, {kLeft + kSide / 2 - 20, kTop + kSide + 28}, options.x_title, 16, black);
}

void draw_curve(Image& image, const Curve& curve, const Range& x, const Range& y, Color color) {
  std::vector<Point> run;
  const auto flush = [&] {
    if (run.size() > 1) vision::draw_polyline(image, run, 2, color);
    if (run.size() == 1) vision::fill_ellipse(image, run[0], 3, 3, color);
    run.clear();
  };
  for (const auto& [at, value] : curve.points) {
    if (std::isfinite(value))
      run.push_back(place(x.share(at), std::clamp(y.share(value), 0.0, 1.0)));
    else
      flush();
  }
  flush();
}

}  // namespace

Image draw_chart(const ChartOptions& options, const std::vector<Curve>& curves) {
  Image image(820, 570);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  const Range x = range_of(options.x_low, options.x_high, curves, true);
  const Range y = range_of(options.y_low, options.y_high, curves, false);
  draw_axes(image, options, x, y);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const Color color = kColors[i % kColors.size()];
    draw_curve(image, curves[i], x, y, color);
    vision::draw_text(image, {kLeft + kSide + 16, kTop + 26 * static_cast<float>(i)},
                      curves[i].name, 14, color);
  }
  return image;
}

Image side_by_side(const std::vector<Image>& pictures) {
  int width = 0, height = 0;
  for (const Image& picture : pictures) {
    width += picture.width;
    height = std::max(height, picture.height);
  }
  Image all(width, height);
  int x = 0;
  for (const Image& picture : pictures) {
    vision::paste(all, picture, x, 0);
    x += picture.width;
  }
  return all;
}

}  // namespace maskwatch::apps
