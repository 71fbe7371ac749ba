#include "apps/live/detect_schedule.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::apps {

int DetectSchedule::every() const {
  if (every_ > 0) return every_;
  return static_cast<int>(std::clamp(std::ceil(cost_ * fps_ - .05), 1., 1000.));
}

bool DetectSchedule::due() {
  if (since_ < kNever) ++since_;
  if (since_ < every()) return false;
  since_ = 0;
  return true;
}

}  // namespace maskwatch::apps
