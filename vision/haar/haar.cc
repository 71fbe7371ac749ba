// The search over scales: which window sizes, which strips, and what becomes of the hits.
#include "vision/haar/haar.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "base/parallel_try.h"
#include "vision/haar/haar_group.h"
#include "vision/haar/haar_model.h"
#include "vision/haar/haar_plan.h"
#include "vision/haar/haar_strip.h"

namespace maskwatch::vision {
namespace {

constexpr double kGroupEps = 0.2;
constexpr std::size_t kMaxScales = 10000;
// From this scale on every window is tried, below it every second one on each axis.
constexpr float kFineFrom = 2.0f;
// A strip's integral images should stay in a core's second-level cache.
constexpr std::size_t kStripBytes = 1 << 20;
constexpr int kMinStripRows = 32;
// Enough strips for many cores; each makes the integral images of a window's height once more.
constexpr int kMaxStripRows = 96;
// Offsets in integral images must fit 31 bits.
constexpr int kMaxWidth = 1 << 20;

int round_to_even(float value) { return static_cast<int>(std::lrint(value)); }
int round_to_even(double value) { return static_cast<int>(std::lrint(value)); }

[[noreturn]] void refuse(const std::string& what) {
  throw std::invalid_argument("HaarCascade::detect: " + what);
}

void check(const ImageView& image, const HaarOptions& options) {
  if (image.width > kMaxWidth) {
    refuse("picture of " + std::to_string(image.width) + " columns; takes " +
           std::to_string(kMaxWidth));
  }
  if (!(options.scale_factor > 1) || !std::isfinite(options.scale_factor)) {
    refuse("scale_factor " + std::to_string(options.scale_factor) + "; wants more than 1");
  }
}

std::vector<float> window_scales(const HaarPlan& plan, const ImageView& image,
                                 const HaarOptions& options) {
  const bool capped = options.max_width != 0 && options.max_height != 0;
  const int max_width = std::min(image.width, capped ? options.max_width : image.width);
  const int max_height = std::min(image.height, capped ? options.max_height : image.height);
  std::vector<float> scales;
  std::size_t tried = 0;
  for (double factor = 1;; factor *= options.scale_factor) {
    if (++tried > kMaxScales) refuse("scale_factor is so near 1 that it makes too many scales");
    if (plan.width * factor > 1e9 || plan.height * factor > 1e9) break;
    const int width = round_to_even(plan.width * factor);
    const int height = round_to_even(plan.height * factor);
    if (width > max_width || height > max_height) break;
    if (width < options.min_width || height < options.min_height) continue;
    scales.push_back(static_cast<float>(factor));
  }
  return scales;
}

HaarResampling resample(int from, int to) {
  HaarResampling map;
  map.index.assign(to + haar_padding(), 0);
  map.fraction.assign(to + haar_padding(), 0);
  const double scale = 1.0 / (static_cast<double>(to) / from);
  for (int i = 0; i < to; ++i) {
    const double at = scale * (i + 0.5) - 0.5;
    const int index = static_cast<int>(std::floor(at));
    map.index[i] = std::clamp(index, 0, from - 1);
    if (index >= 0 && index < from - 1) map.fraction[i] = round_to_even((at - index) * 256);
  }
  return map;
}

struct Task {
  std::size_t level = 0;
  HaarStrip strip;
  std::vector<HaarHit> hits;
};

// Hands each thread that asks a workspace of its own and takes it back for the next.
class Workspaces {
 public:
  Workspaces(int stride, int rows, int source_width, bool tilted, int max_tree_nodes)
      : make_([=] {
          return std::make_unique<HaarWorkspace>(stride, rows, source_width, tilted,
                                                 max_tree_nodes);
        }) {}

  template <class Body>
  void with_one(const Body& body) {
    std::unique_ptr<HaarWorkspace> space = take();
    body(*space);
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(space));
  }

 private:
  std::unique_ptr<HaarWorkspace> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto space = std::move(free_.back());
        free_.pop_back();
        return space;
      }
    }
    return make_();
  }
  std::function<std::unique_ptr<HaarWorkspace>()> make_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<HaarWorkspace>> free_;
};

// One search: the levels of a picture, cut into strips.
class Search {
 public:
  Search(const HaarPlan& plan, const std::uint8_t* grey, int width, int height,
         std::vector<float> scales)
      : plan_(plan), grey_(grey), width_(width), height_(height), scales_(std::move(scales)) {
    const int widest = round_to_even(static_cast<float>(width) / scales_[0]);
    stride_ = row_stride(widest);
    const std::size_t row_bytes = stride_ * sizeof(std::int32_t) * (plan.tilted ? 3 : 2);
    const int fitting = static_cast<int>(kStripBytes / row_bytes) - plan.height - 1;
    strip_rows_ = std::clamp(fitting, kMinStripRows, kMaxStripRows) / 2 * 2;
    lay_out_steps();
    for (std::size_t i = 0; i < scales_.size(); ++i) add_level(i);
  }

  std::vector<HaarWindow> run() {
    Workspaces spaces(stride_, image_rows(), width_, plan_.tilted, plan_.max_tree_nodes);
    // Workspaces and hits take memory, which may run out.
    std::atomic<std::size_t> found{0};
    parallel_try(tasks_.size(), [&](std::size_t t) {
      if (found > kMaxHaarWindows) return;
      spaces.with_one([&](HaarWorkspace& space) {
        Task& task = tasks_[t];
        search_strip(levels_[task.level], task.strip, plan_.height, space, task.hits);
        found += task.hits.size();
      });
    });
    if (found > kMaxHaarWindows)
      throw std::runtime_error("finds more than " + std::to_string(kMaxHaarWindows) +
                               " windows in one picture");
    return windows();
  }

 private:
  // Even, with room for vectors that run past either half, and no multiple of 4 KiB, at which all
  // rows would compete for the same lines of the cache.
  static int row_stride(int widest) {
    const int padding = static_cast<int>(haar_padding());
    const int half = ((widest + 3) / 2 + padding + 15) / 16 * 16;
    const int stride = 2 * half;
    return stride % 512 == 0 ? stride + 32 : stride;
  }

  int image_rows() const { return strip_rows_ + plan_.height + 1; }

  void lay_out_steps() {
    const std::int32_t tilted = static_cast<std::int32_t>(stride_) * image_rows();
    if (scales_.front() < kFineFrom) coarse_.emplace(plan_, 2, stride_, tilted);
    if (scales_.back() >= kFineFrom) fine_.emplace(plan_, 1, stride_, tilted);
  }

  void add_level(std::size_t number) {
    const float scale = scales_[number];
    HaarLevel level;
    level.pixels = grey_;
    level.source_width = width_;
    level.source_height = height_;
    level.width = round_to_even(static_cast<float>(width_) / scale);
    level.height = round_to_even(static_cast<float>(height_) / scale);
    level.layout = scale < kFineFrom ? &*coarse_ : &*fine_;
    const int step = level.layout->step;
    const int across = std::max(level.width + 1 - plan_.width, 0);
    const int down =
        rows_searched(number, std::max(level.height + 1 - plan_.height, 0), across, step);
    level.windows_per_row = (across + step - 1) / step;
    level.columns = resample(width_, level.width);
    level.rows = resample(height_, level.height);
    levels_.push_back(std::move(level));
    for (int y = 0; across > 0 && y < down; y += strip_rows_) {
      tasks_.push_back({number, {y, std::min(y + strip_rows_, down)}, {}});
    }
  }

  // OpenCV cuts all scales into as many stripes as suit the first, in whole steps; what remains of
  // a row below the last whole step of a scale is not searched.
  int rows_searched(std::size_t number, int down, int across, int step) {
    if (number == 0) stripes_ = (across + 31) / 32;
    if (stripes_ == 0) return 0;
    const int stripe = std::max((down / step + stripes_ - 1) / stripes_, 1) * step;
    return std::min(stripes_ * stripe, down);
  }

  std::vector<HaarWindow> windows() const {
    std::vector<HaarWindow> found;
    for (const Task& task : tasks_) {
      const float scale = scales_[task.level];
      const int width = round_to_even(static_cast<float>(plan_.width) * scale);
      const int height = round_to_even(static_cast<float>(plan_.height) * scale);
      for (const HaarHit& hit : task.hits) {
        found.push_back({round_to_even(static_cast<float>(hit.x) * scale),
                         round_to_even(static_cast<float>(hit.y) * scale), width, height});
      }
    }
    return found;
  }

  const HaarPlan& plan_;
  const std::uint8_t* grey_;
  int width_;
  int height_;
  std::vector<float> scales_;
  int stride_ = 0;
  int strip_rows_ = 0;
  int stripes_ = 0;
  std::optional<HaarLayout> coarse_, fine_;
  std::vector<HaarLevel> levels_;
  std::vector<Task> tasks_;
};

// The part of a box that lies in the picture.
Box clipped(const HaarWindow& box, const ImageView& image) {
  const int left = std::max(box.x, 0), right = std::min(box.x + box.width, image.width);
  const int top = std::max(box.y, 0), bottom = std::min(box.y + box.height, image.height);
  return {static_cast<float>(left), static_cast<float>(top), static_cast<float>(right - left),
          static_cast<float>(bottom - top)};
}

}  // namespace

HaarCascade::HaarCascade(std::shared_ptr<const HaarPlan> plan, std::string name)
    : plan_(std::move(plan)), name_(std::move(name)) {}

HaarCascade HaarCascade::load(const std::string& file) {
  return {std::make_shared<const HaarPlan>(read_haar_model(file)), file};
}

HaarCascade HaarCascade::parse(std::string_view xml, const std::string& name) {
  return {std::make_shared<const HaarPlan>(parse_haar_model(xml, name)), name};
}

int HaarCascade::window_width() const { return plan_->width; }
int HaarCascade::window_height() const { return plan_->height; }

std::vector<Detection> HaarCascade::detect(const ImageView& image,
                                           const HaarOptions& options) const {
  check(image, options);
  std::vector<float> scales = window_scales(*plan_, image, options);
  if (scales.empty()) return {};
  const bool is_ready =
      image.channels == 1 && image.stride == static_cast<std::size_t>(image.width);
  const Image grey = is_ready ? Image() : to_grey(image);
  const std::uint8_t* pixels = is_ready ? image.pixels : grey.pixels.data();
  Search search(*plan_, pixels, image.width, image.height, std::move(scales));
  std::vector<Detection> found;
  try {
    for (const HaarGroup& group : group_windows(search.run(), options.min_neighbors, kGroupEps)) {
      const Box box = clipped(group.box, image);
      if (box.width > 0 && box.height > 0)
        found.push_back({box, static_cast<float>(group.windows)});
    }
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(name_ + ": the cascade " + fault.what() +
                             ": it accepts nearly everything");
  }
  return found;
}

}  // namespace maskwatch::vision
