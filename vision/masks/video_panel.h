// What is drawn over a video with tracked people: boxes with labels, a panel with figures, and
// messages. Everything scales with the picture, from 160 to 8,192 pixels wide.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vision/image/draw.h"
#include "vision/image/image.h"
#include "vision/masks/labels.h"
#include "vision/masks/tracker.h"

namespace maskwatch::vision {

// A box for each track: "#3 Mask 97%", in the colour of its meaning (vision/masks/labels.h); an
// expected one (lost) is drawn thin and without a filled tab. `labels` of the model and the meaning
// of each.
void draw_tracks(Image& picture, const std::vector<Track>& tracks,
                 std::span<const std::string> labels, std::span<const LabelMeaning> meanings);

// People by the meaning of their labels.
struct PeopleCount {
  int masked = 0, unmasked = 0, worn_wrongly = 0;
};

struct PanelFigures {
  int people = 0;  // with those whose labels mean something else or are not known
  PeopleCount count;
  bool counts_worn_wrongly = false;  // whether a label of the model means that
  double frames_a_second = 0;
  std::vector<std::pair<std::string, double>> latencies;  // stage, seconds
  std::int64_t dropped = 0;
  int detect_every = 1;
  std::string detector;
  float threshold = .5f;
  bool recording = false, paused = false;
  std::string message;    // at the lower edge: what ails the source, or what was just done
  bool alarming = false;  // `message` is a fault
};

// Sets the first three of `figures`, by the meanings of the model's labels.
void count_people(PanelFigures& figures, const std::vector<Track>& tracks,
                  std::span<const LabelMeaning> meanings);

class VideoPanel {
 public:
  // For the graph: who is there at `time`, in seconds that rise.
  void sample(double time, const PeopleCount& count);

  // The panel in the upper left corner. Its letters are drawn anew at most five times a second of
  // `now`; between, it is only laid over the picture.
  void draw(Image& picture, const PanelFigures& figures, double now);

  // What does not go away with the panel: "REC", "paused", and the message at the lower edge.
  static void draw_message(Image& picture, const PanelFigures& figures);

  static void draw_help(Image& picture);

 private:
  Image draw_card(const Image& picture, const PanelFigures& figures) const;
  void draw_graph(Image& card, const Box& area) const;

  // One moment of the graph.
  struct Sample {
    double time;
    float masked, unmasked, worn_wrongly;  // people, averaged over the moment
    int count;
  };
  std::deque<Sample> samples_;  // of the last minute, half a second each
  Image card_;
  double drawn_at_ = -1e9;
  int for_width_ = 0, for_height_ = 0;
};

}  // namespace maskwatch::vision
