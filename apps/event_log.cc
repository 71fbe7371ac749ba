#include "apps/event_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/program.h"

namespace apps {
namespace {

using nlohmann::json;

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

json label_json(int label, const std::vector<std::string>& labels) {
  return label < 0 ? json(nullptr) : json(labels[static_cast<std::size_t>(label)]);
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
                       const std::string& clock) {
  const vision::Track& track = event.track;
  json box = json::array();
  for (const float side : {track.box.x, track.box.y, track.box.width, track.box.height})
    box.push_back(rounded(side, 10));
  nlohmann::ordered_json line{{"event", event_name(event.change)},
                              {"time", rounded(event.time, 1000)},
                              {"clock", clock},
                              {"track", track.number},
                              {"label", label_json(track.label, labels)},
                              {"confidence", rounded(track.confidence, 1000)},
                              {"box", box},
                              {"first_seen", rounded(track.first_seen, 1000)},
                              {"last_seen", rounded(track.last_seen, 1000)}};
  if (event.change == vision::TrackChange::changed)
    line["before"] = label_json(event.label_before, labels);
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

EventLog::EventLog(const std::string& path)
    : path_(path), file_(path == "-" ? stdout : std::fopen(path.c_str(), "we")) {
  if (file_ == nullptr) throw UsageError("--events " + path + ": " + std::strerror(errno));
}

EventLog::~EventLog() {
  if (file_ != stdout) std::fclose(file_);
}

void EventLog::write(const std::vector<vision::TrackEvent>& events,
                     const std::vector<std::string>& labels) {
  for (const vision::TrackEvent& event : events)
    fmt::print(file_, "{}\n", event_line(event, labels, utc_now()));
  if (!events.empty() && std::fflush(file_) != 0 && file_ != stdout)
    throw UsageError("--events " + path_ + ": cannot be written: " + std::strerror(errno));
}

}  // namespace apps
