// Joins the windows that a detector found around one thing into one box, as OpenCV's
// groupRectangles.
#pragma once

#include <cstddef>
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

// What a cascade may find in one picture: windows that pass, and groups of them. One that accepts
// nearly everything, be it broken or hostile, would take memory and time without end.
inline constexpr std::size_t kMaxHaarWindows = 1'000'000, kMaxHaarGroups = 20'000;

// Two windows are alike where each edge differs by at most `eps` times the mean of the smaller
// width and the smaller height. The number of each window's class, of those that this spans;
// classes are numbered as they first appear.
std::vector<int> window_classes(const std::vector<HaarWindow>& windows, double eps);

// Groups are those classes. Groups of at most
// `threshold` windows and groups within a much better one are dropped. Groups come in the order of
// their first windows. `threshold` 0 or less: every window by itself. std::runtime_error that
// begins with "finds" for more than kMaxHaarGroups groups.
std::vector<HaarGroup> group_windows(const std::vector<HaarWindow>& windows, int threshold,
                                     double eps);

}  // namespace maskwatch::vision
