// HEIC and AVIF, through libheif, which turns and mirrors them as the file says.
#pragma once

#include "vision/image/optional_format.h"

namespace maskwatch::vision {

extern const OptionalFormat kHeif;

}  // namespace maskwatch::vision
