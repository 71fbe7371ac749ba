#include "apps/training/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace maskwatch::apps {
namespace {

using vision::Box;
using vision::Color;
using vision::Image;
using vision::Point;

constexpr Color kAxisColor{0x55, 0x55, 0x55}, kGridColor{0xdd, 0xdd, 0xdd},
    kTextColor{0x33, 0x33, 0x33};
constexpr float kTextHeight = 15, kLineWidth = 2.4f, kMarkerRadius = 3.6f;
constexpr std::size_t kMostMarkers = 60;

// From one end of an axis to the other.
struct Range {
  double low = 0, high = 1;

  // Where `value` lies between `at_low` and `at_high`, or the nearer of the two.
  float place(double value, float at_low, float at_high) const {
    const double share = std::clamp((value - low) / (high - low), 0.0, 1.0);
    return at_low + static_cast<float>(share) * (at_high - at_low);
  }
};

struct Axes {
  Box area;
  Range x, y;

  float left() const { return area.x; }
  float right() const { return area.x + area.width; }
  float top() const { return area.y; }
  float bottom() const { return area.y + area.height; }
  float column(double value) const { return x.place(value, left(), right()); }
  float row(double value) const { return y.place(value, bottom(), top()); }
};

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // With `share` of itself, or `least`, more on each side.
  Range widened(double share, double least) const {
    if (low > high) return {};
    const double air = std::max(share * (high - low), least);
    return {low - air, high + air};
  }
};

bool has_x_range(const ChartOptions& options) { return options.x_low < options.x_high; }

Range x_range(const ChartOptions& options, const std::vector<Curve>& curves) {
  if (has_x_range(options)) return {options.x_low, options.x_high};
  Extent extent;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points) extent.add(x);
  return extent.widened(0.02, 0.5);
}

Range y_range(const ChartOptions& options, const std::vector<Curve>& curves) {
  if (options.y_low < options.y_high) return {options.y_low, options.y_high};
  Extent extent;
  for (const Curve& curve : curves)
    for (const auto& [x, y] : curve.points) extent.add(y);
  return extent.widened(0.06, 1e-3 * std::max(std::abs(extent.high), 1.0));
}

// 1, 2 or 5 times a power of ten: the least step of that kind that needs at most `most` ticks.
double tick_step(const Range& range, int most) {
  const double least = (range.high - range.low) / most;
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= least) return factor * power;
  return 10 * power;
}

std::vector<double> ticks(const Range& range, double step) {
  std::vector<double> values;
  const double slack = 1e-9 * (range.high - range.low);
  const double first = std::ceil((range.low - slack) / step);
  for (double i = first; i * step <= range.high + slack; ++i) values.push_back(i * step);
  return values;
}

std::string tick_label(double value, double step) {
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  if (decimals > 6 || std::abs(value) >= 1e7) return fmt::format("{:.3g}", value);
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, decimals);
}

void draw_line(Image& image, Point from, Point to, float width, Color color) {
  const Point ends[] = {from, to};
  vision::draw_polyline(image, ends, width, color);
}

void draw_centred(Image& image, Point top_middle, const std::string& text) {
  const float width = vision::text_size(text, kTextHeight).width;
  vision::draw_text(image, {top_middle.x - width / 2, top_middle.y}, text, kTextHeight, kTextColor);
}

void draw_axes(Image& image, const Axes& axes, const ChartOptions& options) {
  const double y_step = tick_step(axes.y, 8);
  for (const double value : ticks(axes.y, y_step)) {
    const float y = std::round(axes.row(value)) + .5f;
    const std::string label = tick_label(value, y_step);
    const vision::TextSize size = vision::text_size(label, kTextHeight);
    draw_line(image, {axes.left(), y}, {axes.right(), y}, 1, kGridColor);
    vision::draw_text(image, {axes.left() - size.width - 8, y - size.height / 2}, label,
                      kTextHeight, kTextColor);
  }
  const bool of_whole_numbers = !has_x_range(options);
  const double x_step = std::max(tick_step(axes.x, 10), of_whole_numbers ? 1.0 : 0.0);
  for (const double value : ticks(axes.x, x_step)) {
    const float x = std::round(axes.column(value)) + .5f;
    draw_line(image, {x, axes.top()}, {x, axes.bottom()}, 1, kGridColor);
    draw_centred(image, {x, axes.bottom() + 6}, tick_label(value, x_step));
  }
  const Point lines[] = {{axes.left() + .5f, axes.top()},
                         {axes.left() + .5f, axes.bottom()},
                         {axes.right(), axes.bottom()}};
  vision::draw_polyline(image, lines, 1.4f, kAxisColor);
  vision::draw_text(image, {axes.left(), axes.top() - kTextHeight - 10}, options.title, kTextHeight,
                    kTextColor);
  draw_centred(image, {(axes.left() + axes.right()) / 2, axes.bottom() + 28}, options.x_title);
}

void draw_marker(Image& image, Point at, Color color) {
  vision::fill_ellipse(image, at, kMarkerRadius, kMarkerRadius, color);
}

bool has_markers(const Curve& curve) { return curve.points.size() <= kMostMarkers; }

// A line through each run of finite values; a run of one, or few points in all, get markers.
void draw_curve(Image& image, const Curve& curve, const Axes& axes, Color color) {
  std::vector<Point> run;
  const auto draw_run = [&] {
    if (run.size() > 1) vision::draw_polyline(image, run, kLineWidth, color);
    if (run.size() == 1 || has_markers(curve))
      for (const Point& point : run) draw_marker(image, point, color);
    run.clear();
  };
  for (const auto& [x, y] : curve.points) {
    if (std::isfinite(y))
      run.push_back({axes.column(x), axes.row(y)});
    else
      draw_run();
  }
  draw_run();
}

// A frame with a line and a name for each curve; within the axes it is in a corner that curves
// rarely reach.
void draw_legend(Image& image, const std::vector<Curve>& curves, const std::vector<Color>& colors,
                 const Axes& axes, Legend place) {
  if (curves.empty()) return;
  constexpr float padding = 9, swatch = 32, line = kTextHeight + 8;
  float text_width = 0;
  for (const Curve& curve : curves)
    text_width = std::max(text_width, vision::text_size(curve.name, kTextHeight).width);
  const float width = std::ceil(text_width) + swatch + 3 * padding;
  const float height = static_cast<float>(curves.size()) * line + padding;
  const float left = place == Legend::beside ? axes.right() + 16 : axes.right() - width - 10;
  const float top = place == Legend::beside      ? axes.top()
                    : place == Legend::top_right ? axes.top() + 10
                                                 : axes.bottom() - height - 10;
  vision::fill_rectangle(image, {left, top, width, height}, {255, 255, 255});
  vision::draw_rectangle(image, {left, top, width, height}, 1, {0xcc, 0xcc, 0xcc});
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const Color color = colors[i % colors.size()];
    const float middle = top + padding / 2 + line * (static_cast<float>(i) + .5f);
    draw_line(image, {left + padding, middle}, {left + padding + swatch, middle}, kLineWidth,
              color);
    if (has_markers(curves[i])) draw_marker(image, {left + padding + swatch / 2, middle}, color);
    const float text_top = middle - vision::text_size(curves[i].name, kTextHeight).height / 2;
    vision::draw_text(image, {left + 2 * padding + swatch, text_top}, curves[i].name, kTextHeight,
                      kTextColor);
  }
}

}  // namespace

void draw_chart(Image& image, const Box& area, const ChartOptions& options,
                const std::vector<Curve>& curves, const std::vector<Color>& colors) {
  const Axes axes{area, x_range(options, curves), y_range(options, curves)};
  draw_axes(image, axes, options);
  for (std::size_t i = 0; i < curves.size(); ++i)
    draw_curve(image, curves[i], axes, colors[i % colors.size()]);
  draw_legend(image, curves, colors, axes, options.legend);
}

Image draw_chart(const ChartOptions& options, const std::vector<Curve>& curves) {
  Image image(820, 570);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  draw_chart(image, {76, 34, 480, 480}, options, curves,
             {{0, 0, 0},
              {40, 160, 70},
              {215, 45, 45},
              {235, 145, 20},
              {60, 170, 220},
              {60, 90, 220},
              {130, 60, 190}});
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
