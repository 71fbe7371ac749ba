// The curves of a training as a picture, drawn by gnuplot.
#pragma once

#include <string>

#include "apps/training/history.h"

namespace maskwatch::apps {

// The program that draws: "gnuplot" from PATH, or what the environment variable GNUPLOT names.
// False where it cannot be run: to be asked before a long training, not after it.
bool plot_available();

// Draws train_loss and val_loss, train_acc and val_acc over the epochs, side by side, as a PNG of
// 1280x560; written atomically. Figures that are not finite leave gaps. Throws
// std::invalid_argument for an empty history, WorkError when gnuplot is missing or fails, and
// std::runtime_error naming the file when it cannot be written.
void plot_history(const std::string& path, const History& history);

// The commands that plot_history gives to gnuplot.
std::string plot_script(const History& history);

}  // namespace maskwatch::apps
