// What a training run needs to go on from the end of an epoch: model, optimiser, history. One
// safetensors file, written atomically, so that a run killed at any moment leaves a whole one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/training/history.h"
#include "nn/module.h"

namespace maskwatch::apps {

struct Checkpoint {
  std::string recipe;  // everything that the result depends on: options and data set
  std::int64_t steps_taken = 0;
  History history;
  nn::StateDict model, optimizer;
};

// Beside the model that the run is to write.
std::string checkpoint_path(const std::string& model);

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Empty if there is no such file. Throws std::runtime_error that names the file if it is not a
// checkpoint, or is one of another recipe.
std::optional<Checkpoint> load_checkpoint(const std::string& path, const std::string& recipe);

}  // namespace maskwatch::apps
