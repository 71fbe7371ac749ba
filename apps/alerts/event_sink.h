// Where the events of a video go besides its window: a file, a broker, a web hook, a browser. The
// thread that displays calls all functions, and none but finish() makes it wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

using Clock = std::chrono::steady_clock;

// Who is in view, by the meaning of their labels, and how the camera does.
struct WatchState {
  int people = 0;  // with those whose labels mean something else, or are not known yet
  int mask = 0, no_mask = 0, worn_wrongly = 0;
  std::int64_t people_seen = 0;  // until now
  std::string trouble;           // why the source is lost; empty: it is not

  bool operator==(const WatchState&) const = default;
};

// The fields of WatchState, and "source": "ok" or the trouble.
Json state_json(const WatchState& state);

class EventSink {
 public:
  virtual ~EventSink() = default;

  // One event, as --events writes it: JSON on one line, without its end.
  virtual void write(const std::string& line) = 0;
  // What holds from now on; the same as before costs next to nothing.
  virtual void update(const WatchState&) {}
  // Whether show() would make use of a picture now: annotated ones are costly to make.
  virtual bool wants_picture() { return false; }
  // A frame with its boxes.
  virtual void show(std::shared_ptr<const vision::Image>) {}

  // No more comes. What is left is sent on for a limited time, while others end too.
  virtual void close() {}
  // close(), and waits until that has happened, or the time is over.
  virtual void finish() = 0;

  // Why the program should end: UsageError (the user can mend it) or WriteError (lost at work).
  // Null: nothing happened since the last call.
  virtual std::exception_ptr take_error() = 0;
  // What the user should know since the last call, a line each.
  virtual std::vector<std::string> take_notes() { return {}; }
  // What became of the events, for --stats and /metrics, where it counts them.
  virtual std::optional<Json> figures() const { return std::nullopt; }
};

}  // namespace maskwatch::apps
