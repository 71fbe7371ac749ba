// Line charts drawn by ourselves, where a plot must not need another program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // what is not finite leaves a gap
};

// Where names and colours of the curves stand: right of the axes, or in a corner between them.
enum class Legend { beside, top_right, bottom_right };

struct ChartOptions {
  std::string title, x_title;
  // The axes' ends; equal ones: what the curves need, and a little more. An x axis without ends is
  // one of whole numbers, such as epochs.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
  Legend legend = Legend::beside;
};

// Draws a chart whose axes enclose `area`; title, numbers and a legend beside it stand around.
// Curves have the colours in turn; those of few points get a marker at each.
void draw_chart(vision::Image& image, const vision::Box& area, const ChartOptions& options,
                const std::vector<Curve>& curves, const std::vector<vision::Color>& colors);

// A chart of its own, 820x570 pixels, in colours of our choice.
vision::Image draw_chart(const ChartOptions& options, const std::vector<Curve>& curves);

// Pictures of one height in a row.
vision::Image side_by_side(const std::vector<vision::Image>& pictures);

}  // namespace maskwatch::apps
