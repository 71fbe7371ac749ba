// Who appears, changes or leaves in a video, as JSON lines:
//   {"event":"appear","time":1.2,"clock":"2026-01-31T12:00:01.200Z","track":1,"label":"with_mask",
//    "confidence":0.98,"box":[x,y,width,height],"first_seen":1.1,"last_seen":1.2}
// `time` and the two others in seconds of the source; a `leave` is written once somebody has not
// been seen for a while, but its time is that of the last sighting. A `change` also has "before",
// and where sources have names, every event has "source".
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/alerts/event_sink.h"
#include "apps/live/bounded_queue.h"
#include "vision/masks/tracker.h"

namespace maskwatch::apps {

class EventLog : public EventSink {
 public:
  // Goes on behind what a file holds, on a new line; "-" is standard output; a named pipe may get
  // its reader later. std::runtime_error names it if it cannot be written or holds something else.
  explicit EventLog(const std::string& path);
  ~EventLog() override;  // as finish()
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // A thread writes the lines, each at once, so the caller never waits for a slow disk or an idle
  // reader. While 10,000 lines are waiting, new ones are lost.
  void write(int source, const std::string& line) override;

  // Writes what is left, but gives up when none of it can be written for 2 s.
  void finish() override;

  // What went wrong since the last call, as one line; empty: nothing. Nothing is written after it.
  std::string take_fault();
  std::exception_ptr take_error() override;
  // How much the file held before.
  std::vector<std::string> take_notes() override { return std::exchange(notes_, {}); }

 private:
  void work();
  void open_pipe();
  void go_on_behind_the_last_line();
  bool put(const std::string& line);
  bool wait_for_room();
  void fail(const std::string& reason);

  const std::string path_;
  int descriptor_;  // -1: of a pipe that nobody has opened for reading yet
  BoundedQueue<std::string> lines_{10'000};
  std::int64_t lost_ = 0;
  std::vector<std::string> notes_;
  std::atomic<bool> finishing_{false};
  std::mutex mutex_;
  std::string fault_;
  std::thread thread_;
};

// One line, without its end. `clock` is what is written as such, and so is `source`, unless empty.
std::string event_line(const vision::TrackEvent& event, const std::vector<std::string>& labels,
                       const std::string& clock, const std::string& source = "");

// Now, in UTC, as ISO 8601 with milliseconds.
std::string utc_now();

}  // namespace maskwatch::apps
