#include "vision/video/picture_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <stdexcept>
#include <utility>
#include <vector>

#include "vision/image/picture_kinds.h"
#include "vision/video/orientation.h"

namespace maskwatch::vision {
namespace {

constexpr double kUsualFps = 25;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The digits from `at` on without leading zeros; `at` moves behind them.
std::string number_at(const std::string& text, std::size_t& at) {
  while (at < text.size() && text[at] == '0') ++at;
  const std::size_t begin = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  return text.substr(begin, at - begin);
}

std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (const std::string name = it->path().filename().string();
        has_image_extension(name) && !is_hidden_name(name))
      names.push_back(name);
  if (error) throw std::runtime_error(folder + ": cannot be listed: " + error.message());
  std::sort(names.begin(), names.end(), natural_less);
  return names;
}

class PictureFolder final : public VideoSource {
 public:
  PictureFolder(const std::string& folder, const VideoSourceOptions& options)
      : folder_(folder),
        names_(pictures_in(folder)),
        fps_(options.fps > 0 ? options.fps : kUsualFps),
        orientation_(turned(options.rotate, options.flip)),
        stop_(options.stop) {
    if (names_.empty())
      throw std::runtime_error(
          fmt::format("{}: holds no pictures ({})", folder, kPictureExtensions));
    if (!load(first_)) throw std::runtime_error("none of the pictures can be read: " + message_);
  }

  Status read(VideoFrame& frame) override {
    if (stopped()) return Status::end;
    frame.arrived = std::chrono::steady_clock::now();
    if (!first_.empty())
      frame.image = std::exchange(first_, {});
    else if (!load(frame.image))
      return Status::end;
    frame.number = count_++;
    frame.time = static_cast<double>(frame.number) / fps_;
    return Status::frame;
  }

  void interrupt() override { interrupted_ = true; }
  SourceKind kind() const override { return SourceKind::folder; }
  bool live() const override { return false; }
  double fps() const override { return fps_; }
  int width() const override { return width_; }
  int height() const override { return height_; }
  std::string description() const override {
    return fmt::format("{}: folder of {} pictures", folder_, names_.size());
  }
  std::string message() const override { return message_; }

 private:
  bool stopped() const { return interrupted_ || (stop_ != nullptr && *stop_); }

  bool load(Image& image) {
    while (next_ < names_.size() && !stopped()) {
      const std::string path = (std::filesystem::path(folder_) / names_[next_++]).string();
      try {
        Image upright = load_image(path);
        if (orientation_.upright())
          image = std::move(upright);
        else
          turn(upright.row(0), static_cast<std::size_t>(upright.width) * 3, upright.width,
               upright.height, orientation_, image);
        width_ = image.width;
        height_ = image.height;
        return true;
      } catch (const std::runtime_error& error) {
        ++left_out_;
        message_ = error.what();
        if (left_out_ > 1) message_ += fmt::format(" ({} pictures were left out)", left_out_);
      }
    }
    return false;
  }

  const std::string folder_;
  const std::vector<std::string> names_;
  const double fps_;
  const Orientation orientation_;
  const std::atomic<bool>* const stop_;
  std::atomic<bool> interrupted_ = false;
  std::string message_;
  Image first_;
  std::size_t next_ = 0, left_out_ = 0;
  std::int64_t count_ = 0;
  int width_ = 0, height_ = 0;
};

}  // namespace

bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string m = number_at(a, i), n = number_at(b, j);
      if (m.size() != n.size()) return m.size() < n.size();
      if (m != n) return m < n;
    } else {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
    }
  }
  const std::size_t left = a.size() - i, right = b.size() - j;
  return left != right ? left < right : a < b;
}

std::unique_ptr<VideoSource> open_picture_folder(const std::string& folder,
                                                 const VideoSourceOptions& options) {
  return std::make_unique<PictureFolder>(folder, options);
}

}  // namespace maskwatch::vision
