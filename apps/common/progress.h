// A progress bar with figures and the time left. On a terminal one line is redrawn, at most ten
// times a second; elsewhere nothing is written but the line at the end.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maskwatch::apps {

// Named figures beside the bar, as {"loss", 0.1234}.
using Figures = std::vector<std::pair<std::string, double>>;

// "0:07", "1:23", "2:03:04"; "?" for what is negative, infinite or NaN.
std::string format_duration(double seconds);

// "loss 0.1234  accuracy 0.9876".
std::string format_figures(const Figures& figures);

// " 12/35 [=======>......] 34%  loss 0.1234  accuracy 0.9876  1:23 left" in at most `width`
// columns: first the bar shrinks, then it goes, then the figures go from the right, then the line
// is cut. `seconds_left` < 0: unknown, left out.
std::string progress_line(std::int64_t done, std::int64_t total, const Figures& figures,
                          double seconds_left, int width);

// Where a bar is drawn. Tests put their own in.
struct ProgressOutput {
  std::function<void(std::string_view)> write;
  bool terminal = false;
  std::function<int()> width;   // columns now
  std::function<double()> now;  // seconds on a clock that never goes back

  // `file` as it is: a terminal or not, as wide as its window. TERM=dumb is not a terminal.
  static ProgressOutput to(std::FILE* file = stderr);
};

// One bar for one stretch of work: an epoch, the loading of images. For one thread.
class ProgressBar {
 public:
  explicit ProgressBar(std::int64_t total, ProgressOutput output = ProgressOutput::to());
  // Wipes the bar if finish was not called, so that an error message begins on a clean line.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void update(std::int64_t done, const Figures& figures = {});
  // The bar gives way to `line`, on a terminal or not. An empty line: the bar just goes.
  void finish(const std::string& line = "");

 private:
  double seconds_left(std::int64_t done, double now) const;
  void wipe();

  ProgressOutput output_;
  std::int64_t total_;
  double start_;
  double drawn_at_ = 0;
  bool drawn_ = false;
  bool finished_ = false;
};

}  // namespace maskwatch::apps
