// What a camera and a JPEG encoder did to a picture (blur, noise, blocks), measured so that what is
// laid into it looks the same.
#pragma once

#include "vision/image/image.h"

namespace maskwatch::vision {

struct ImageDegradation {
  float blur = 0;      // standard deviation in pixels of the edges, 0 where they are sharp
  float noise = 0;     // standard deviation in grey levels
  float blocking = 0;  // how much steeper the borders of 8x8 blocks are than the rest; 0: not
};

// From the pixels of `area`; all 0 where it is below 8x8.
ImageDegradation measure_degradation(const Image& image, const PixelBox& area);

// The quality of libjpeg's scale at which such blocks are usual; 100 where there are none.
int jpeg_quality_of(const ImageDegradation& degradation);

}  // namespace maskwatch::vision
