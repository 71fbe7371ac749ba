// Masks laid over photographed faces: cut, cloth, folds and ear loops are shaped on a model of the
// head that is fitted to the face's 68 landmarks, lit as the face is, and blurred and grained as
// the photograph is. Landmarks in iBUG / dlib order, in pixels.
#pragma once

#include <span>

#include "vision/drawn/mask_design.h"
#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

struct MaskedFace {
  Image picture;
  Image covered;  // grey, of the photograph's size: 255 where mask or loops hide it
};

// The photograph with the mask on. May be called from several threads at once; the same arguments
// give the same bytes. Throws std::invalid_argument for a picture that is empty or not RGB, and for
// landmarks that show no face (see vision/drawn/mask_fit.h).
MaskedFace lay_mask(const Image& photo, std::span<const Point, 68> landmarks,
                    const MaskDesign& design);

}  // namespace maskwatch::vision
