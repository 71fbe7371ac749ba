// TIFF, through libtiff: its first picture.
#pragma once

#include "vision/image/optional_format.h"

namespace maskwatch::vision {

extern const OptionalFormat kTiff;

}  // namespace maskwatch::vision
