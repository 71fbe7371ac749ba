// Runs a command when somebody in a video stays without a mask, or with one worn wrongly: beside
// the video, which never waits for it, and once for each person.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <vector>

#include "vision/masks/labels.h"
#include "vision/masks/tracker.h"

namespace maskwatch::apps {

// The words of a command line: separated by spaces, kept together by '...' or "...", any
// character taken as it is after a backslash (except within '...'). Nothing else is special. Throws
// std::invalid_argument for a quote that is not closed and for a line without words.
std::vector<std::string> command_words(const std::string& line);

class Alert {
 public:
  // No shell is involved: the first word is the program, the others are what it is given, as they
  // stand. It learns what happened from its environment: MASKWATCH_TRACK, MASKWATCH_LABEL,
  // MASKWATCH_CONFIDENCE (0 to 1), MASKWATCH_SECONDS (with that label), MASKWATCH_TIME (of the
  // source), MASKWATCH_BOX ("x y width height"), MASKWATCH_SOURCE. Its input is empty, its output
  // goes to our standard error. It may outlive us. `meanings`: of each of the labels.
  // `worn_wrongly`: masks that are worn wrongly raise it too. std::runtime_error if there is no
  // such program.
  Alert(const std::string& command, double after, std::vector<std::string> labels,
        std::vector<vision::LabelMeaning> meanings, std::string source, bool worn_wrongly = false);

  // The people in the picture at `time`, in seconds of the source. Returns what to tell the user:
  // empty, or why the command could not be run.
  std::string look(const std::vector<vision::Track>& tracks, double time);

  int runs() const { return runs_; }

 private:
  bool concerns(const vision::Track& track) const;
  std::string run(const vision::Track& track, double time);
  void forget_one(const std::vector<vision::Track>& tracks);
  void bury();

  std::vector<std::string> words_;
  double after_;
  std::vector<std::string> labels_;
  std::vector<vision::LabelMeaning> meanings_;  // of each of them
  std::string source_;
  bool worn_wrongly_;
  std::set<std::int64_t> told_;  // the latest numbers
  std::vector<pid_t> running_;
  int runs_ = 0;
};

}  // namespace maskwatch::apps
