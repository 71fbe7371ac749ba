// Where the events of a video go besides its window: a file, a broker, a web hook, a browser. The
// thread that displays calls all functions, and none but finish() makes it wait.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/clock.h"
#include "apps/common/latency.h"
#include "base/json.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

// What became of the events that a sink was given.
struct DeliveryFigures {
  std::int64_t taken = 0, delivered = 0, dropped = 0;
  std::int64_t outages = 0;  // of a receiver that had been reached before
  bool reached = false;      // the receiver, at the last attempt
  Latency delay;             // from the event to the receiver's answer
  std::int64_t waiting() const { return taken - delivered - dropped; }
};

// By the names of the sinks.
using SinkFigures = std::vector<std::pair<std::string, DeliveryFigures>>;

// How a video goes.
struct VideoFigures {
  std::int64_t captured = 0, shown = 0, dropped = 0, reconnections = 0;
  double frames_a_second = 0;                           // at present
  std::vector<std::pair<std::string, Latency>> delays;  // by stage
};

// Who is in view, by the meaning of their labels, and how the camera does.
struct WatchState {
  int people = 0;  // with those whose labels mean something else, or are not known yet
  int mask = 0, no_mask = 0, worn_wrongly = 0;
  std::int64_t people_seen = 0;  // until now
  std::string trouble;           // why the source is lost; empty: it is not

  bool operator==(const WatchState&) const = default;
};

// Median, 99 % and longest of the delays, in milliseconds.
Json latency_json(const Latency& latency);
// The fields of WatchState, and "source": "ok" or the trouble.
Json state_json(const WatchState& state);
// The counts and, in milliseconds, the delays, for --stats.
Json figures_json(const DeliveryFigures& figures);

// What is watched. The functions below know a source by its place in a list of these.
struct WatchedName {
  std::string name;         // "door"; empty: it is the only one, and was not given one
  std::string description;  // for people
};

class EventSink {
 public:
  virtual ~EventSink() = default;

  // One event, as --events writes it: JSON on one line, without its end.
  virtual void write(int source, const std::string& line) = 0;
  // What holds from now on; the same as before costs next to nothing.
  virtual void update(int, const WatchState&) {}
  // A few times a second, also while the source is lost.
  virtual void measure(int, const VideoFigures&) {}
  virtual void measure_sinks(const SinkFigures&) {}
  // Whether show() would make use of a picture now: annotated ones are costly to make.
  virtual bool wants_picture(int) { return false; }
  // A frame with its boxes.
  virtual void show(int, std::shared_ptr<const vision::Image>) {}
  // The same of all sources at a glance; of a single one its frame.
  virtual bool wants_overview() { return false; }
  virtual void show_overview(std::shared_ptr<const vision::Image>) {}

  // No more comes. What is left is sent on for a limited time, while others end too.
  virtual void close() {}
  // close(), and waits until that has happened, or the time is over.
  virtual void finish() = 0;

  // Why the program should end: UsageError (the user can mend it) or WriteError (lost at work).
  // Null: nothing happened since the last call.
  virtual std::exception_ptr take_error() = 0;
  // What the user should know since the last call, a line each.
  virtual std::vector<std::string> take_notes() { return {}; }
  // Where it counts its events.
  virtual std::optional<DeliveryFigures> figures() const { return std::nullopt; }
};

}  // namespace maskwatch::apps
