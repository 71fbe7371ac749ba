#include "apps/training/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "apps/training/curves.h"
#include "vision/image/draw.h"

namespace maskwatch::apps {
namespace {

constexpr int kWidth = 1280, kHeight = 560;
constexpr float kTitleHeight = 22;
constexpr vision::Color kTitleColor{0x33, 0x33, 0x33};

// The name is followed by the last value.
Curve curve_of(const History& history, double EpochRecord::*figure, const std::string& name) {
  const double last = history.back().*figure;
  Curve curve{name + "  " + (std::isfinite(last) ? fmt::format("{:.4f}", last) : "not finite"), {}};
  for (const EpochRecord& record : history) curve.points.emplace_back(record.epoch, record.*figure);
  return curve;
}

}  // namespace

vision::Image draw_history(const History& history) {
  if (history.empty()) throw std::invalid_argument("plot: the history holds no epoch");
  vision::Image image(kWidth, kHeight);
  std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{255});
  const std::string title = "Training loss and accuracy";
  const float width = vision::text_size(title, kTitleHeight).width;
  vision::draw_text(image, {(kWidth - width) / 2, 16}, title, kTitleHeight, kTitleColor);
  const std::vector<vision::Color> colors{{0xd9, 0x5f, 0x02}, {0x1b, 0x6c, 0xa8}};
  ChartOptions options{"Loss", "Epoch"};
  options.legend = Legend::top_right;
  draw_chart(image, {80, 84, 540, 410}, options,
             {curve_of(history, &EpochRecord::loss, "train_loss"),
              curve_of(history, &EpochRecord::validation_loss, "val_loss")},
             colors);
  options.title = "Accuracy";
  options.legend = Legend::bottom_right;
  draw_chart(image, {720, 84, 540, 410}, options,
             {curve_of(history, &EpochRecord::accuracy, "train_acc"),
              curve_of(history, &EpochRecord::validation_accuracy, "val_acc")},
             colors);
  return image;
}

}  // namespace maskwatch::apps
