// People in a video: the faces that a detector finds in single frames, tied together over time.
// Each face has a Kalman filter (vision/masks/box_filter.h); a frame's detections are given to the
// faces by the assignment that is most likely as a whole (Bewley et al., "Simple online and
// realtime tracking", 2016, with likelihoods in place of overlaps), so that two people who cross
// keep their numbers. The labels of a face are voted over time (vision/masks/label_vote.h). Depends
// on what it is given alone: the same detections at the same times give the same tracks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vision/image/geometry.h"
#include "vision/masks/box_filter.h"
#include "vision/masks/label_vote.h"

namespace maskwatch::vision {

// What was found of one face in one frame.
struct Observation {
  Box box;
  float score = 0;
  // Of the classifier's labels, as weighed_by_meaning() (vision/masks/labels.h) gives them; empty:
  // not classified.
  std::vector<float> probabilities;
};

enum class TrackState {
  tentative,  // not seen often enough to be believed
  confirmed,
  lost,  // confirmed, but not found at the last look
};

// A face as it is expected at one moment.
struct Track {
  std::int64_t number = 0;  // from 1 in the order of confirmation; 0: tentative
  TrackState state = TrackState::tentative;
  Box box;
  int label = -1;  // -1: never classified
  float confidence = 0;
  double label_since = 0;
  double first_seen = 0, last_seen = 0;
};

enum class TrackChange { appeared, changed, left };

struct TrackEvent {
  TrackChange change;
  double time = 0;
  Track track;
  int label_before = -1;  // of `changed`
};

struct TrackerOptions {
  int confirm_after = 3;     // sightings, and
  float confirm_score = 0;   // of at least this score; fainter ones only continue a face
  double confirm_for = .2;   // seconds: a detector errs alike in frames that follow one another
  double show_lost = .5;     // seconds for which a lost face is still expected to be in the picture
  double end_after = 2;      // seconds without a sighting after which somebody has left, or a few
                             // looks, where these are rarer than that
  double forget_after = .4;  // seconds and at least two looks, for tentative ones
  VoteOptions vote;
};

// Where faces count from a score of `confidence` (0 to 1): a hand or a blurred
// patch is a face to a detector now and then, so to begin a person takes a surer one than to go on
// (Zhang et al., "ByteTrack", 2022). Of a cascade, whose scores are counts of windows, any will do.
TrackerOptions tracker_options(float confidence);

class Tracker {
 public:
  explicit Tracker(const TrackerOptions& options = {}) : options_(options) {}

  // The faces of the frame at `time` (seconds; earlier than the last update counts as equal to it).
  // std::invalid_argument for a face with another number of probabilities than before.
  std::vector<TrackEvent> update(double time, std::span<const Observation> observations);

  // All confirmed tracks, except those that were not looked for in the last end_after,
  // and the lost ones of the last show_lost seconds, as they are expected at `time`, which may lie
  // a little before the last update too; ordered by number.
  std::vector<Track> at(double time) const;

  // The end of the video: everybody leaves.
  std::vector<TrackEvent> finish();

  // How many people were confirmed until now.
  std::int64_t people() const { return people_; }

 private:
  struct Face {
    BoxFilter filter;  // at time_
    LabelVote vote;
    Track track;  // box: when it was seen last
    int sightings = 0;
    int sure = 0;    // sightings of at least confirm_score
    int misses = 0;  // looks without a sighting
    int missed = 0;  // since the last sighting
  };

  std::vector<int> assign(std::span<const Observation> observations) const;
  void assign_overlapping(std::span<const Observation> observations,
                          std::vector<int>& chosen) const;
  void see(Face& face, const Observation& observation, bool votes, std::vector<TrackEvent>& events);
  void start(std::span<const Observation> observations, const std::vector<int>& face_of);
  void miss(Face& face) const;
  bool gone(const Face& face) const;
  double at_least_looks(double seconds) const;
  TrackEvent departure(const Face& face) const;
  Track snapshot(const Face& face, double time) const;

  TrackerOptions options_;
  std::vector<Face> faces_;
  double time_ = 0;
  double interval_ = 0, passed_ = 0;  // s between looks; between the latest two
  bool started_ = false;
  std::int64_t people_ = 0;
};

}  // namespace maskwatch::vision
