// What a training run needs to go on from the end of an epoch or of a stretch of steps: model,
// optimiser, averaged weights, history. One safetensors file, written atomically, so that a run
// killed at any moment leaves a whole one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nn/module.h"

namespace maskwatch::apps {

struct Checkpoint {
  std::string recipe;  // everything that the result depends on: options and data set
  std::int64_t steps_taken = 0, average_updates = 0;
  std::string history;  // as text, of the trainer's own form
  nn::StateDict model, optimizer;
  nn::StateDict average = {};  // of the weights; empty if none is kept
};

// Beside the model that the run is to write.
std::string checkpoint_path(const std::string& model);

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Empty if there is no such file. Throws std::runtime_error that names the file if it is not a
// checkpoint, or is one of another recipe.
std::optional<Checkpoint> load_checkpoint(const std::string& path, const std::string& recipe);

}  // namespace maskwatch::apps
