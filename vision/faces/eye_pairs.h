// Faces from their eyes: where a mask hides nose and mouth, cascades for faces fail and cascades
// for eyes do not.
#pragma once

#include <span>
#include <vector>

#include "vision/image/geometry.h"

namespace maskwatch::vision {

// A face for every two eyes that can belong together: beside one another, of like size, 1 to 2.4
// eye boxes apart. The box is 2.2 times as wide as their distance, a square from the forehead to
// the chin; its score is the lesser of theirs. An eye belongs to one face, the surest. Of boxes
// that overlap by more than 0.3 the surest stays; likewise of eyes. (Eyes of OpenCV's
// lefteye_2splits and righteye_2splits together: each finds some of the other side's.) Surest
// first. Beyond the 256 surest no eye is looked at.
std::vector<Detection> faces_of_eyes(std::span<const Detection> eyes);

}  // namespace maskwatch::vision
