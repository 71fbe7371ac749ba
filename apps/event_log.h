// Who appears, changes or leaves in a video, as JSON lines:
//   {"event":"appear","time":1.2,"clock":"2026-01-31T12:00:01.200Z","track":1,"label":"with_mask",
//    "confidence":0.98,"box":[x,y,width,height],"first_seen":1.1,"last_seen":1.2}
// `time` and the two others in seconds of the source; a `leave` is told when somebody was not seen
// for a while, but its time is that of the last sight. A `change` also has "before".
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "vision/tracker.h"

namespace apps {

class EventLog {
 public:
  // Begins a new file; "-" is standard output. UsageError if it cannot be written.
  explicit EventLog(const std::string& path);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Every line is complete in the file when this returns. UsageError if it cannot be written.
  void write(const std::vector<vision::TrackEvent>& events, const std::vector<std::string>& labels);

 private:
  std::string path_;
  std::FILE* file_;
};

// One line, without its end. `clock` is what is written as such.
std::string event_line(const vision::TrackEvent& event, const std::vector<std::string>& labels,
                       const std::string& clock);

// Now, in UTC, as ISO 8601 with milliseconds.
std::string utc_now();

}  // namespace apps
