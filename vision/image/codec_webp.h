// WebP, through libwebp: its first frame.
#pragma once

#include "vision/image/optional_format.h"

namespace maskwatch::vision {

extern const OptionalFormat kWebp;

}  // namespace maskwatch::vision
