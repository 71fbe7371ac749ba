#include "vision/masks/tracker.h"

#include <algorithm>
#include <cmath>

#include "vision/masks/assignment.h"

namespace maskwatch::vision {
namespace {

// 99.9 % of a face's sightings lie nearer (chi-squared of four numbers).
constexpr double kGate = 18.5;
// However uncertain a lost face is: heights between where it is looked for and where it is found,
// and how much larger one box may be than the other.
constexpr double kReach = 1.2, kGrowth = 1.7;
// In the units of -2 log likelihood: what it costs to say that a face was not found.
constexpr double kMissed = 16, kMissedAgain = 10;
constexpr double kNever = 1e6;
// A box that lies so far inside another one of the same frame is the same face found twice.
constexpr float kSameFace = .5f;
// Shared by two boxes of one frame, of the smaller one, before the farther face has no say.
constexpr double kHidden = .2;
constexpr float kHair = .3f;  // how far a head rises above the box of its face, in heights
// What is found in less than one of this many looks is not a person.
constexpr int kRarely = 3;
constexpr double kRounding = 1e-6;  // s, of times that are sums
// A face that was seen this many seconds ago is still looked for where a box overlaps what is
// expected, though it moves or shrinks as nothing does: one that the picture's edge cuts off.
constexpr double kRecent = .5;
constexpr double kOverlap = .3, kInside = .7;
constexpr double kLooks = 2.5;  // that span a time which is shorter than from one look to the next

bool same_face(const Box& a, const Box& b) {
  return intersection_over_union(a, b) > kSameFace || intersection_over_smaller(a, b) > .8;
}

bool within_reach(const Box& expected, const Box& seen) {
  const double dx = expected.x + expected.width / 2 - seen.x - seen.width / 2;
  const double dy = expected.y + expected.height / 2 - seen.y - seen.height / 2;
  const auto exact_area = [](const Box& box) {
    return static_cast<double>(box.width) * box.height;
  };
  const double ratio = std::sqrt(exact_area(expected) / std::max(1e-6, exact_area(seen)));
  return std::hypot(dx, dy) < kReach * std::max(expected.height, seen.height) && ratio < kGrowth &&
         ratio > 1 / kGrowth;
}

// -2 log likelihood of the sighting, up to a constant that makes a certain one cost about 0.
double cost_of(const BoxFilter& filter, const Box& seen) {
  constexpr double kSharpest = -23;  // log determinant of a face that is seen in every frame
  if (!within_reach(filter.box(), seen)) return kNever;
  const auto [distance, log_spread] = filter.surprise(seen);
  return distance > kGate ? kNever : distance + std::max(0., log_spread - kSharpest) / 2;
}

// Whether somebody nearer to the camera, whose box ends lower, stands before this face: what is
// seen of it may be the other one's.
bool hidden(std::size_t one, std::span<const Observation> observations) {
  const Box& box = observations[one].box;
  return std::any_of(observations.begin(), observations.end(), [&](const Observation& other) {
    const Box& face = other.box;
    const Box head{face.x, face.y - kHair * face.height, face.width, (1 + kHair) * face.height};
    return face.y + face.height > box.y + box.height &&
           intersection_over_smaller(head, box) > kHidden;
  });
}

}  // namespace

TrackerOptions tracker_options(float confidence) {
  constexpr float kMoreToConfirm = .2f;
  TrackerOptions options;
  options.confirm_score = std::min(confidence + kMoreToConfirm, 1.f);
  return options;
}

// The column of each face: an observation, or one of the columns behind them, one a face, that mean
// "not found".
std::vector<int> Tracker::assign(std::span<const Observation> observations) const {
  const std::size_t seen = observations.size(), columns = seen + faces_.size();
  std::vector<double> costs(faces_.size() * columns, kNever);
  for (std::size_t f = 0; f < faces_.size(); ++f) {
    for (std::size_t o = 0; o < seen; ++o)
      costs[f * columns + o] = cost_of(faces_[f].filter, observations[o].box);
    costs[f * columns + seen + f] = faces_[f].missed > 1 ? kMissedAgain : kMissed;
  }
  std::vector<int> chosen =
      cheapest_assignment(costs, static_cast<int>(faces_.size()), static_cast<int>(columns));
  for (int& column : chosen)
    if (column >= static_cast<int>(seen)) column = -1;
  return chosen;
}

// Faces seen a moment ago to whom the likelihoods gave nothing, and observations that overlap where
// they should be.
void Tracker::assign_overlapping(std::span<const Observation> observations,
                                 std::vector<int>& chosen) const {
  std::vector<bool> taken(observations.size());
  for (const int o : chosen)
    if (o >= 0) taken[static_cast<std::size_t>(o)] = true;
  for (std::size_t f = 0; f < faces_.size(); ++f) {
    if (chosen[f] >= 0 || time_ - faces_[f].track.last_seen > at_least_looks(kRecent)) continue;
    const Box expected = faces_[f].filter.box();
    for (std::size_t o = 0; o < observations.size() && chosen[f] < 0; ++o) {
      const Box& seen = observations[o].box;
      if (taken[o] || (intersection_over_union(expected, seen) < kOverlap &&
                       intersection_over_smaller(expected, seen) < kInside))
        continue;
      chosen[f] = static_cast<int>(o);
      taken[o] = true;
    }
  }
}

void Tracker::see(Face& face, const Observation& observation, bool votes,
                  std::vector<TrackEvent>& events) {
  face.filter.correct(observation.box);
  face.missed = 0;
  face.track.last_seen = time_;
  face.track.box = face.filter.box();
  ++face.sightings;
  face.sure += observation.score >= options_.confirm_score ? 1 : 0;
  const int before = face.vote.label();
  if (!observation.probabilities.empty() && (votes || before < 0))
    face.vote.add(time_, observation.probabilities);
  const bool known = face.track.number > 0;
  const bool often = face.sightings * kRarely >= face.sightings + face.misses;
  const bool long_enough = time_ - face.track.first_seen > options_.confirm_for - kRounding;
  if (!known && often && long_enough && face.sure >= options_.confirm_after)
    face.track.number = ++people_;
  if (face.track.number > 0) face.track.state = TrackState::confirmed;
  if (!known && face.track.number > 0)
    events.push_back({TrackChange::appeared, time_, snapshot(face, time_)});
  if (known && before != face.vote.label())
    events.push_back({TrackChange::changed, time_, snapshot(face, time_), before});
}

void Tracker::miss(Face& face) const {
  ++face.missed;
  ++face.misses;
  if (face.track.number > 0) face.track.state = TrackState::lost;
}

double Tracker::at_least_looks(double seconds) const {
  return interval_ > seconds ? kLooks * interval_ : seconds;
}

bool Tracker::gone(const Face& face) const {
  const double unseen = time_ - face.track.last_seen;
  if (face.track.number > 0) return unseen > at_least_looks(options_.end_after);
  return face.missed >= 2 && unseen > options_.forget_after;
}

// A new face for every observation that belongs to none and is not another view of one that does.
void Tracker::start(std::span<const Observation> observations, const std::vector<int>& face_of) {
  std::vector<Box> taken;
  for (std::size_t o = 0; o < observations.size(); ++o)
    if (face_of[o] >= 0) taken.push_back(observations[o].box);
  for (std::size_t o = 0; o < observations.size(); ++o) {
    const Observation& observation = observations[o];
    const auto same = [&](const Box& box) { return same_face(box, observation.box); };
    if (face_of[o] >= 0 || std::any_of(taken.begin(), taken.end(), same)) continue;
    taken.push_back(observation.box);
    Face face{BoxFilter(observation.box), LabelVote(options_.vote), {}, 1};
    face.sure = observation.score >= options_.confirm_score ? 1 : 0;
    face.track.first_seen = face.track.last_seen = time_;
    if (!observation.probabilities.empty()) face.vote.add(time_, observation.probabilities);
    faces_.push_back(std::move(face));
  }
}

std::vector<TrackEvent> Tracker::update(double time, std::span<const Observation> observations) {
  const double passed = started_ ? std::max(0., time - time_) : 0;
  // The shorter of two: a single gap is one in which the source was lost.
  interval_ = passed_ > 0 ? std::min(passed_, passed) : passed;
  passed_ = passed;
  time_ = started_ ? std::max(time_, time) : time;
  started_ = true;
  for (Face& face : faces_) face.filter.predict(passed);

  std::vector<TrackEvent> events;
  std::vector<int> chosen = assign(observations);
  assign_overlapping(observations, chosen);
  std::vector<int> face_of(observations.size(), -1);
  for (std::size_t f = 0; f < chosen.size(); ++f) {
    if (chosen[f] < 0) {
      miss(faces_[f]);
      continue;
    }
    const auto o = static_cast<std::size_t>(chosen[f]);
    face_of[o] = static_cast<int>(f);
    see(faces_[f], observations[o], !hidden(o, observations), events);
  }
  std::erase_if(faces_, [&](const Face& face) {
    if (!gone(face)) return false;
    if (face.track.number > 0) events.push_back(departure(face));
    return true;
  });
  start(observations, face_of);
  return events;
}

Track Tracker::snapshot(const Face& face, double time) const {
  Track out = face.track;
  out.box = face.filter.box(time - time_);
  out.label = face.vote.label();
  out.confidence = face.vote.confidence();
  out.label_since = face.vote.since();
  return out;
}

// Where and when the face was seen last.
TrackEvent Tracker::departure(const Face& face) const {
  TrackEvent event{TrackChange::left, face.track.last_seen, snapshot(face, time_)};
  event.track.box = face.track.box;
  return event;
}

std::vector<Track> Tracker::at(double time) const {
  std::vector<Track> out;
  for (const Face& face : faces_)
    if (face.track.number > 0 &&
        time - face.track.last_seen <= (face.track.state == TrackState::confirmed
                                            ? at_least_looks(options_.end_after)
                                            : options_.show_lost))
      out.push_back(snapshot(face, time));
  std::sort(out.begin(), out.end(),
            [](const Track& a, const Track& b) { return a.number < b.number; });
  return out;
}

std::vector<TrackEvent> Tracker::finish() {
  std::vector<TrackEvent> events;
  for (const Face& face : faces_)
    if (face.track.number > 0) events.push_back(departure(face));
  faces_.clear();
  return events;
}

}  // namespace maskwatch::vision
