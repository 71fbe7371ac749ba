// GIF89a, through giflib.
#pragma once

#include "vision/image/optional_format.h"

namespace maskwatch::vision {

extern const OptionalFormat kGif;

}  // namespace maskwatch::vision
