#include "apps/common/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>

namespace maskwatch::apps {
namespace {

constexpr int kLongestBar = 30;
constexpr int kShortestBar = 8;
constexpr double kSecondsBetweenDrawings = 0.1;
constexpr const char* kEraseLine = "\r\x1b[K";

std::string bar(double share, int length) {
  const int filled = static_cast<int>(share * length);
  std::string text(static_cast<std::size_t>(length), '.');
  std::fill_n(text.begin(), filled, '=');
  if (filled < length) text[static_cast<std::size_t>(filled)] = '>';
  return "[" + text + "]";
}

int window_width(int descriptor) {
  winsize window{};
  if (ioctl(descriptor, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) return window.ws_col;
  return 80;
}

}  // namespace

std::string format_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string format_figures(const Figures& figures) {
  std::string text;
  for (const auto& [name, value] : figures)
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : "  ", name, value);
  return text;
}

std::string progress_line(std::int64_t done, std::int64_t total, const Figures& figures,
                          double seconds_left, int width) {
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1;
  const std::string total_text = fmt::format("{}", total);
  const std::string head = fmt::format(" {:>{}}/{}", done, total_text.size(), total_text);
  const std::string percent = fmt::format(" {}%", static_cast<int>(share * 100));
  std::string tail = seconds_left < 0 ? "" : "  " + format_duration(seconds_left) + " left";

  const auto columns = static_cast<std::size_t>(std::max(width, 0));
  const auto fits = [&](const std::string& text) { return text.size() <= columns; };
  const auto middle = [&](std::size_t count) {
    const Figures kept(figures.begin(), figures.begin() + static_cast<std::ptrdiff_t>(count));
    return count == 0 ? std::string() : "  " + format_figures(kept);
  };
  const std::string rest = percent + middle(figures.size()) + tail;
  const int room = width - static_cast<int>(head.size() + rest.size()) - 3;
  if (room >= kShortestBar) return head + " " + bar(share, std::min(room, kLongestBar)) + rest;
  for (std::size_t count = figures.size() + 1; count-- > 0;) {
    const std::string line = head + percent + middle(count) + tail;
    if (fits(line)) return line;
  }
  return (head + percent).substr(0, columns);
}

ProgressOutput ProgressOutput::to(std::FILE* file) {
  const int descriptor = fileno(file);
  const char* kind = std::getenv("TERM");
  ProgressOutput output;
  output.terminal = isatty(descriptor) == 1 && kind != nullptr && std::strcmp(kind, "dumb") != 0;
  output.write = [file](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), file);
    std::fflush(file);
  };
  output.width = [descriptor] { return window_width(descriptor); };
  output.now = [] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  };
  return output;
}

ProgressBar::ProgressBar(std::int64_t total, ProgressOutput output)
    : output_(std::move(output)), total_(total), start_(output_.now()) {}

ProgressBar::~ProgressBar() {
  if (!finished_) wipe();
}

void ProgressBar::update(std::int64_t done, const Figures& figures) {
  if (!output_.terminal || finished_) return;
  const double now = output_.now();
  if (drawn_ && now - drawn_at_ < kSecondsBetweenDrawings) return;
  // The last column stays free: some terminals wrap when it is written.
  const int columns = output_.width() - 1;
  output_.write(kEraseLine +
                progress_line(done, total_, figures, seconds_left(done, now), columns));
  drawn_ = true;
  drawn_at_ = now;
}

void ProgressBar::finish(const std::string& line) {
  if (finished_) return;
  wipe();
  finished_ = true;
  if (!line.empty()) output_.write(line + "\n");
}

double ProgressBar::seconds_left(std::int64_t done, double now) const {
  if (done <= 0 || done > total_) return -1;
  return (now - start_) / static_cast<double>(done) * static_cast<double>(total_ - done);
}

void ProgressBar::wipe() {
  if (drawn_) output_.write(kEraseLine);
  drawn_ = false;
}

}  // namespace maskwatch::apps
