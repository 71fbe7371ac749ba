// Line charts drawn by ourselves, where a plot must not need another program.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::apps {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // what is not finite leaves a gap
};

struct ChartOptions {
  std::string title, x_title;
  // The axes' ends; equal ones: what the curves need.
  double x_low = 0, x_high = 0, y_low = 0, y_high = 0;
};

// A chart of 820x570 pixels with a legend; colours in the order of the curves.
vision::Image draw_chart(const ChartOptions& options, const std::vector<Curve>& curves);

// Pictures of one height in a row.
vision::Image side_by_side(const std::vector<vision::Image>& pictures);

}  // namespace maskwatch::apps
