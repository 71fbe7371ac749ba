// The curves of a training as an image.
#pragma once

#include "apps/training/history.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

// train_loss and val_loss, train_acc and val_acc over the epochs, side by side: RGB, 1280x560.
// Values that are not finite leave gaps. Throws std::invalid_argument for an empty history.
vision::Image draw_history(const History& history);

}  // namespace maskwatch::apps
