#include "apps/live/event_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/json.h"

namespace maskwatch::apps {
namespace {

constexpr double kPatience = 2;  // s
constexpr int kLook = 50;        // ms

const char* event_name(vision::TrackChange change) {
  switch (change) {
    case vision::TrackChange::appeared:
      return "appear";
    case vision::TrackChange::changed:
      return "change";
    default:
      return "leave";
  }
}

Json label_json(int label, const std::vector<std::string>& labels) {
  return label < 0 ? Json() : Json(labels[static_cast<std::size_t>(label)]);
}

double rounded(double value, double steps) { return std::round(value * steps) / steps; }

}  // namespace

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
}

std::string event_line(const vision::TrackEvent& event, const std::vector<std::string>& labels,
                       const std::string& clock, const std::string& source) {
  const vision::Track& track = event.track;
  Json box = Json::list();
  for (const float side : {track.box.x, track.box.y, track.box.width, track.box.height})
    box.push_back(rounded(side, 10));
  Json line = Json::object({{"event", event_name(event.change)},
                            {"time", rounded(event.time, 1000)},
                            {"clock", clock},
                            {"track", track.number},
                            {"label", label_json(track.label, labels)},
                            {"confidence", rounded(track.confidence, 1000)},
                            {"box", box},
                            {"first_seen", rounded(track.first_seen, 1000)},
                            {"last_seen", rounded(track.last_seen, 1000)}});
  if (event.change == vision::TrackChange::changed)
    line["before"] = label_json(event.label_before, labels);
  if (!source.empty()) line["source"] = source;
  return line.dump(Json::kOneLine, Json::KeyOrder::as_added);
}

EventLog::EventLog(const std::string& path) : path_(path), descriptor_(-1) {
  std::error_code none;
  const bool pipe = path != "-" && std::filesystem::is_fifo(path, none);
  if (path == "-")
    descriptor_ = STDOUT_FILENO;
  else if (pipe)
    open_pipe();
  else
    descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0 && !(pipe && errno == ENXIO)) throw_write_fault("--events " + path, errno);
  if (path != "-" && !pipe) go_on_behind_the_last_line();
  std::fflush(stdout);
  thread_ = std::thread([this] { work(); });
}

EventLog::~EventLog() {
  EventLog::finish();
  if (path_ != "-" && descriptor_ >= 0) ::close(descriptor_);
}

// Fails with ENXIO while nobody reads the pipe.
void EventLog::open_pipe() {
  if (descriptor_ < 0) descriptor_ = open(path_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

// Who was killed may have left half a line.
void EventLog::go_on_behind_the_last_line() {
  struct stat found {};
  if (fstat(descriptor_, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size == 0) return;
  std::ifstream file(path_);
  if (const int first = file.get(); first != '{' && first != '\n')
    throw UsageError("--events " + path_ + ": is there, and holds no events", "name another file");
  file.seekg(-1, std::ios::end);
  const bool whole = file.get() == '\n';
  if (!whole) lines_.try_push("\n");
  notes_.push_back(fmt::format("--events {}: goes on behind the {} bytes that were there{}", path_,
                               found.st_size, whole ? "" : ", whose last line was cut off"));
}

void EventLog::write(int, const std::string& line) { lost_ += !lines_.try_push(line + "\n"); }

void EventLog::finish() {
  if (!thread_.joinable()) return;
  finishing_ = true;
  lines_.close();
  thread_.join();
  if (lost_ > 0) fail(fmt::format("{} lines were lost: the disk or the reader is too slow", lost_));
}

std::string EventLog::take_fault() {
  const std::lock_guard lock(mutex_);
  return std::exchange(fault_, {});
}

std::exception_ptr EventLog::take_error() {
  const std::string fault = take_fault();
  return fault.empty() ? nullptr : std::make_exception_ptr(WriteError(fault));
}

void EventLog::work() {
  bool well = true;
  while (const auto line = lines_.pop()) well = well && put(*line);
  open_pipe();  // a reader that opens it only now must see its end
}

// False if no more can be written.
bool EventLog::put(const std::string& line) {
  for (std::size_t done = 0; done < line.size();) {
    if (!wait_for_room()) {
      fail("incomplete: nobody reads it");
      return false;
    }
    // A pipe that has room at all takes PIPE_BUF bytes at once.
    const std::size_t most = std::min<std::size_t>(line.size() - done, PIPE_BUF);
    const ssize_t written = ::write(descriptor_, line.data() + done, most);
    if (written > 0) done += static_cast<std::size_t>(written);
    if (written >= 0 || errno == EINTR || errno == EAGAIN) continue;
    // Whoever read our standard output has seen enough.
    if (errno != EPIPE || path_ != "-")
      fail(std::string("cannot be written: ") + std::strerror(errno));
    return false;
  }
  return true;
}

bool EventLog::wait_for_room() {
  for (double waited = 0; waited < kPatience; waited += finishing_ ? kLook / 1e3 : 0) {
    open_pipe();
    pollfd file{descriptor_, POLLOUT, 0};  // -1 is just a wait
    if (poll(&file, 1, kLook) > 0) return true;
  }
  return false;
}

void EventLog::fail(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (fault_.empty()) fault_ = "--events " + path_ + ": " + reason;
}

}  // namespace maskwatch::apps
