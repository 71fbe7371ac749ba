// The figures of each epoch of a training, and history.json:
//   {"epochs": [{"epoch": 1, "loss": ..., "accuracy": ..., "val_loss": ..., "val_accuracy": ...,
//                "learning_rate": ..., "seconds": ...}, ...]}
// Numbers are read back as the very doubles that were written; infinity and NaN are null and come
// back as NaN.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace maskwatch::apps {

struct EpochRecord {
  int epoch = 0;  // from 1
  double loss = 0;
  double accuracy = 0;
  double validation_loss = 0;
  double validation_accuracy = 0;
  double learning_rate = 0;  // at the end of the epoch
  double seconds = 0;

  bool operator==(const EpochRecord&) const = default;
};

using History = std::vector<EpochRecord>;

Json history_json(const History& history);
std::string history_text(const History& history);

// Throws std::runtime_error that begins with `name` and says what is wrong: not JSON, a figure
// missing or of another type, epochs that do not ascend from 1 on.
History parse_history(std::string_view text, const std::string& name);

}  // namespace maskwatch::apps
