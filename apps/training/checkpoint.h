// What a training run needs to go on from the end of an epoch or of a stretch of steps: model,
// optimiser, averaged weights, history. One safetensors file, written atomically, so that a run
// killed at any moment leaves a whole one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/common/options.h"
#include "kernels/communicator.h"
#include "nn/module.h"

namespace maskwatch::apps {

struct Checkpoint {
  std::string recipe;  // everything that the result depends on: options and data set
  std::int64_t steps_taken = 0, average_updates = 0;
  std::string history;  // as text, of the trainer's own form
  nn::StateDict model, optimizer;
  nn::StateDict average = {};  // of the weights; empty if none is kept
};

// Adds --resume and --overwrite, which exclude each other.
void add_checkpoint_options(OptionParser& parser, bool& resume, bool& overwrite);

// Beside the model that the run is to write.
std::string checkpoint_path(const std::string& model);

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint);

// Empty if there is no such file. Throws std::runtime_error that names the file if it is not a
// checkpoint, or is one of another recipe; then it says which parts of "name value, name value ..."
// differ.
std::optional<Checkpoint> load_checkpoint(const std::string& path, const std::string& recipe);

// The checkpoint of a run, from its first moment to its end, so that no work is lost: nobody else
// writes it meanwhile (a lock on MODEL.lock, which goes with this object), and the checkpoint of a
// run that was cut off is not written over unasked. Of several ranks rank 0 alone touches the
// files.
class CheckpointFile {
 public:
  // UsageError if another training is at work on the same model, or if there is a checkpoint and
  // neither `resume` nor `overwrite`. Keeps a reference to the communicator.
  CheckpointFile(const std::string& model, bool resume, bool overwrite,
                 kernels::Communicator& communicator);
  ~CheckpointFile();
  CheckpointFile(const CheckpointFile&) = delete;
  CheckpointFile& operator=(const CheckpointFile&) = delete;

  const std::string& path() const { return path_; }
  // Of a run that is to go on; otherwise, and without a file, nothing. Every rank calls this and
  // gets the same. Errors as load_checkpoint().
  std::optional<Checkpoint> load(const std::string& recipe) const;
  // What cannot be written, as on a full disk, is a note: the training goes on, and the next call
  // tries again. Throws std::domain_error for values that are no longer finite; the checkpoint
  // before them stays.
  void save(const Checkpoint& checkpoint);
  // When the results are written.
  void remove();

 private:
  void lock();
  void unlock();

  bool writes() const { return communicator_.rank() == 0; }

  kernels::Communicator& communicator_;
  std::string path_, lock_path_;
  bool resume_, saved_ = true;
  int lock_ = -1;
};

}  // namespace maskwatch::apps
