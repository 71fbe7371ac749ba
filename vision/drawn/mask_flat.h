// The flat mask of the original system's data set, for comparison with vision/drawn/mask_overlay.h.
#pragma once

#include <span>

#include "vision/drawn/mask_overlay.h"

namespace maskwatch::vision {

// One flat light-blue picture of a surgical mask, its halves stretched to the distances of the
// jaw's points 2 and 14 from the line from nose bridge to chin, pasted upright: for comparison, as
// the generator of github.com/prajnasb/observations (mask_classifier/Data_Generator/mask.py) does;
// its picture is not ours, and our own is used. Errors as lay_mask.
MaskedFace paste_flat_mask(const Image& photo, std::span<const Point, 68> landmarks);

}  // namespace maskwatch::vision
