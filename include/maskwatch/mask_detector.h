// For programs outside this tree: the front door under a short name.
#pragma once

#include "vision/masks/mask_detector.h"
