// Resizing as OpenCV's cv2.resize does it by default and as published detectors expect it: each
// output pixel lies between the four input pixels around it, also when the picture shrinks. Where
// pictures are for people, vision::resize looks better.
#pragma once

#include "vision/image/image.h"

namespace maskwatch::vision {

// To within one grey level of cv2.resize(..., INTER_LINEAR). Throws std::invalid_argument for an
// empty picture and a width or height below 1.
Image resize_bilinear(const Image& image, int width, int height);

}  // namespace maskwatch::vision
