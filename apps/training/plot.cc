#include "apps/training/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/file.h"
#include "vision/image/codec.h"
#include "vision/image/draw.h"

namespace maskwatch::apps {
namespace {

using vision::Color;
using vision::Image;
using vision::Point;

constexpr int kWidth = 1280, kHeight = 560;
constexpr Color kTrainColor{0xd9, 0x5f, 0x02}, kValidationColor{0x1b, 0x6c, 0xa8};
constexpr Color kAxisColor{0x55, 0x55, 0x55}, kGridColor{0xdd, 0xdd, 0xdd},
    kTextColor{0x33, 0x33, 0x33};
constexpr float kTextHeight = 15, kTitleHeight = 22;
constexpr float kLineWidth = 2.4f, kMarkerRadius = 3.6f;
constexpr std::size_t kMostMarkers = 60;

// One figure of each epoch.
using Figure = double EpochRecord::*;

struct Panel {
  std::string title, short_name;
  Figure train, validation;
  vision::Box area;  // between the axes
  bool legend_on_top;
};

struct Range {
  double low = 0, high = 1;

  // Where `value` lies between `at_low` and `at_high`.
  float place(double value, float at_low, float at_high) const {
    return at_low + static_cast<float>((value - low) / (high - low)) * (at_high - at_low);
  }
};

// All finite values, with some air.
Range value_range(const History& history, const Panel& panel) {
  double low = INFINITY, high = -INFINITY;
  for (const EpochRecord& record : history)
    for (const double value : {record.*panel.train, record.*panel.validation}) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  if (low > high) return {};
  const double air = std::max(0.06 * (high - low), 1e-3 * std::max(std::abs(high), 1.0));
  return {low - air, high + air};
}

Range epoch_range(const History& history) {
  const double first = history.front().epoch, last = history.back().epoch;
  const double air = std::max(0.5, 0.02 * (last - first));
  return {first - air, last + air};
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
  const double first = std::ceil(range.low / step);
  for (double i = first; i * step <= range.high; ++i) values.push_back(i * step);
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

void draw_centred(Image& image, Point top_middle, const std::string& text, float height,
                  Color color) {
  const float width = vision::text_size(text, height).width;
  vision::draw_text(image, {top_middle.x - width / 2, top_middle.y}, text, height, color);
}

void draw_axes(Image& image, const Panel& panel, const Range& epochs, const Range& values) {
  const vision::Box& box = panel.area;
  const float right = box.x + box.width, bottom = box.y + box.height;
  const double value_step = tick_step(values, 8);
  for (const double value : ticks(values, value_step)) {
    const float y = std::round(values.place(value, bottom, box.y)) + .5f;
    const std::string label = tick_label(value, value_step);
    const vision::TextSize size = vision::text_size(label, kTextHeight);
    draw_line(image, {box.x, y}, {right, y}, 1, kGridColor);
    vision::draw_text(image, {box.x - size.width - 8, y - size.height / 2}, label, kTextHeight,
                      kTextColor);
  }
  const double epoch_step = std::max(1.0, tick_step(epochs, 10));
  for (const double epoch : ticks(epochs, epoch_step)) {
    const float x = std::round(epochs.place(epoch, box.x, right)) + .5f;
    draw_line(image, {x, box.y}, {x, bottom}, 1, kGridColor);
    draw_centred(image, {x, bottom + 6}, tick_label(epoch, epoch_step), kTextHeight, kTextColor);
  }
  const Point axes[] = {{box.x + .5f, box.y}, {box.x + .5f, bottom}, {right, bottom}};
  vision::draw_polyline(image, axes, 1.4f, kAxisColor);
  vision::draw_text(image, {box.x, box.y - kTextHeight - 10}, panel.title, kTextHeight, kTextColor);
  draw_centred(image, {box.x + box.width / 2, bottom + 28}, "Epoch", kTextHeight, kTextColor);
}

void draw_marker(Image& image, Point at, Color color) {
  vision::fill_ellipse(image, at, kMarkerRadius, kMarkerRadius, color);
}

// A line through each run of finite values; a run of one, or few epochs in all, get markers.
void draw_curve(Image& image, const History& history, Figure figure, const Panel& panel,
                const Range& epochs, const Range& values, Color color) {
  const vision::Box& box = panel.area;
  std::vector<Point> run;
  const auto draw_run = [&] {
    if (run.size() > 1) vision::draw_polyline(image, run, kLineWidth, color);
    if (run.size() == 1 || history.size() <= kMostMarkers)
      for (const Point& point : run) draw_marker(image, point, color);
    run.clear();
  };
  for (const EpochRecord& record : history) {
    if (std::isfinite(record.*figure))
      run.push_back({epochs.place(record.epoch, box.x, box.x + box.width),
                     values.place(record.*figure, box.y + box.height, box.y)});
    else
      draw_run();
  }
  draw_run();
}

std::string last_value(const History& history, Figure figure) {
  const double value = history.back().*figure;
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "not finite";
}

// Names and last values of both curves, in a corner that they rarely reach.
void draw_legend(Image& image, const History& history, const Panel& panel) {
  const std::string texts[] = {
      fmt::format("train_{}  {}", panel.short_name, last_value(history, panel.train)),
      fmt::format("val_{}  {}", panel.short_name, last_value(history, panel.validation))};
  constexpr float padding = 9, swatch = 32, line = kTextHeight + 8;
  const float text_width = std::max(vision::text_size(texts[0], kTextHeight).width,
                                    vision::text_size(texts[1], kTextHeight).width);
  const vision::Box& area = panel.area;
  const float width = std::ceil(text_width) + swatch + 3 * padding, height = 2 * line + padding;
  const float left = area.x + area.width - width - 10;
  const float top = panel.legend_on_top ? area.y + 10 : area.y + area.height - height - 10;
  vision::fill_rectangle(image, {left, top, width, height}, {255, 255, 255});
  vision::draw_rectangle(image, {left, top, width, height}, 1, {0xcc, 0xcc, 0xcc});
  for (int i = 0; i < 2; ++i) {
    const Color color = i == 0 ? kTrainColor : kValidationColor;
    const float middle = top + padding / 2 + line * (static_cast<float>(i) + .5f);
    draw_line(image, {left + padding, middle}, {left + padding + swatch, middle}, kLineWidth,
              color);
    if (history.size() <= kMostMarkers)
      draw_marker(image, {left + padding + swatch / 2, middle}, color);
    const float text_top = middle - vision::text_size(texts[i], kTextHeight).height / 2;
    vision::draw_text(image, {left + 2 * padding + swatch, text_top}, texts[i], kTextHeight,
                      kTextColor);
  }
}

}  // namespace

vision::Image draw_history(const History& history) {
  if (history.empty()) throw std::invalid_argument("plot: the history holds no epoch");
  const Panel panels[] = {
      {"Loss", "loss", &EpochRecord::loss, &EpochRecord::validation_loss, {80, 84, 540, 410}, true},
      {"Accuracy",
       "acc",
       &EpochRecord::accuracy,
       &EpochRecord::validation_accuracy,
       {720, 84, 540, 410},
       false}};
  Image image(kWidth, kHeight);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  draw_centred(image, {kWidth / 2, 16}, "Training loss and accuracy", kTitleHeight, kTextColor);
  const Range epochs = epoch_range(history);
  for (const Panel& panel : panels) {
    const Range values = value_range(history, panel);
    draw_axes(image, panel, epochs, values);
    draw_curve(image, history, panel.train, panel, epochs, values, kTrainColor);
    draw_curve(image, history, panel.validation, panel, epochs, values, kValidationColor);
    draw_legend(image, history, panel);
  }
  return image;
}

void plot_history(const std::string& path, const History& history) {
  write_file_atomically(path, vision::codec::encode_png(draw_history(history)));
}

}  // namespace maskwatch::apps
