// Joins the windows that a detector found around one thing into one box, as OpenCV's
// groupRectangles.
#pragma once

#include <vector>

namespace maskwatch::vision {

struct HaarWindow {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

struct HaarGroup {
  HaarWindow box;   // mean of the windows, rounded
  int windows = 0;  // how many were joined
};

// Two windows are alike where each edge differs by at most `eps` times the mean of the smaller
// width and the smaller height; groups are the classes that this spans. Groups of at most
// `threshold` windows and groups within a much better one are dropped. Groups come in the order of
// their first windows. `threshold` 0 or less: every window by itself.
std::vector<HaarGroup> group_windows(const std::vector<HaarWindow>& windows, int threshold,
                                     double eps);

}  // namespace maskwatch::vision
