// Pictures to another size as OpenCV's cv2.resize does it by default and as face detectors were
// trained with: each output pixel lies between the four input pixels around it, also when the
// picture shrinks, which leaves out the others. vision/image/resize.h is smoother.
#pragma once

#include "vision/image/image.h"

namespace maskwatch::vision {

// To within one grey level of cv2.resize(..., INTER_LINEAR). Throws std::invalid_argument for an
// empty picture and a width or height below 1.
Image resize_bilinear(const ImageView& image, int width, int height);

}  // namespace maskwatch::vision
