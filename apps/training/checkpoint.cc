#include "apps/training/checkpoint.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "apps/common/program.h"
#include "apps/common/share.h"
#include "base/file.h"
#include "nn/safetensors.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kModelPrefix = "model.";
constexpr const char* kOptimizerPrefix = "optimizer.";
constexpr const char* kAveragePrefix = "average.";
constexpr const char* kAverageUpdates = "average_updates";

void add_all(nn::StateDict& all, const std::string& prefix, const nn::StateDict& part) {
  for (const auto& [name, tensor] : part) all[prefix + name] = tensor;
}

nn::StateDict part_of(const nn::StateDict& all, const std::string& prefix) {
  nn::StateDict part;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) part[name.substr(prefix.size())] = tensor;
  return part;
}

// The metadata of one file, each key asked for by name.
class Reader {
 public:
  Reader(const nn::Safetensors& contents, const std::string& path)
      : metadata_(contents.metadata), path_(path) {}

  std::string text(const std::string& key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) fail(key + " is missing");
    return found->second;
  }
  std::int64_t count(const std::string& key) const {
    const std::string value = text(key);
    std::int64_t count = -1;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
    if (error != std::errc() || end != value.data() + value.size() || count < 0)
      fail(key + " is " + value);
    return count;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_ + ": not a checkpoint: " + what);
  }

  const std::map<std::string, std::string>& metadata_;
  const std::string& path_;
};

std::vector<std::string_view> parts_of(std::string_view recipe) {
  constexpr std::string_view comma = ", ";
  std::vector<std::string_view> parts;
  for (std::size_t end; (end = recipe.find(comma)) != std::string_view::npos;) {
    parts.push_back(recipe.substr(0, end));
    recipe.remove_prefix(end + comma.size());
  }
  parts.push_back(recipe);
  return parts;
}

bool holds(const std::vector<std::string_view>& parts, std::string_view part) {
  return std::find(parts.begin(), parts.end(), part) != parts.end();
}

// "epochs 20 then, epochs 30 now; the pictures"
std::string difference(const std::string& then, const std::string& now) {
  const auto before = parts_of(then), after = parts_of(now);
  std::string text;
  const auto begin_part = [&] { text += text.empty() ? "" : "; "; };
  for (std::size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
    const bool gone = i < before.size() && !holds(after, before[i]);
    const bool come = i < after.size() && !holds(before, after[i]);
    if (!gone && !come) continue;
    begin_part();
    if (come && after[i].starts_with("data ")) {
      text += "the pictures";
    } else if (come && after[i].starts_with("start ")) {
      text += "the weights that it starts with";
    } else {
      if (gone) text.append(before[i]).append(" then");
      if (gone && come) text += ", ";
      if (come) text.append(after[i]).append(" now");
    }
  }
  return text;
}

void require_finite(const nn::StateDict& state) {
  for (const auto& [name, values] : state) {
    const nn::Tensor tensor = values.cpu();
    if (!std::all_of(tensor.data(), tensor.data() + tensor.count(),
                     [](float value) { return std::isfinite(value); }))
      throw std::domain_error(name + " is no longer finite (choose a smaller --lr)");
  }
}

Checkpoint checkpoint_in(const nn::Safetensors& contents, const std::string& path,
                         const std::string& recipe) {
  const Reader reader(contents, path);
  Checkpoint checkpoint;
  checkpoint.recipe = reader.text("recipe");
  if (checkpoint.recipe != recipe)
    throw std::runtime_error(
        path + ": made with other options or pictures: " + difference(checkpoint.recipe, recipe));
  checkpoint.history = reader.text("history");
  checkpoint.steps_taken = reader.count("steps_taken");
  checkpoint.average_updates = reader.count(kAverageUpdates);
  checkpoint.model = part_of(contents.tensors, kModelPrefix);
  checkpoint.optimizer = part_of(contents.tensors, kOptimizerPrefix);
  checkpoint.average = part_of(contents.tensors, kAveragePrefix);
  return checkpoint;
}

}  // namespace

void add_checkpoint_options(OptionParser& parser, bool& resume, bool& overwrite) {
  auto& resume_option =
      parser.add("--resume", &resume,
                 "Go on from the checkpoint of a run with the same options that was cut off");
  parser
      .add("--overwrite", &overwrite,
           "Start again where there is a checkpoint of a run that was cut off, and write over it")
      .excludes(resume_option);
}

std::string checkpoint_path(const std::string& model) { return model + ".checkpoint"; }

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  nn::Safetensors contents;
  contents.metadata = {{"format", "maskwatch checkpoint"},
                       {"recipe", checkpoint.recipe},
                       {"steps_taken", std::to_string(checkpoint.steps_taken)},
                       {kAverageUpdates, std::to_string(checkpoint.average_updates)},
                       {"history", checkpoint.history}};
  add_all(contents.tensors, kModelPrefix, checkpoint.model);
  add_all(contents.tensors, kOptimizerPrefix, checkpoint.optimizer);
  add_all(contents.tensors, kAveragePrefix, checkpoint.average);
  nn::save_safetensors(path, contents);
}

std::optional<Checkpoint> load_checkpoint(const std::string& path, const std::string& recipe) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return checkpoint_in(nn::load_safetensors(path), path, recipe);
}

CheckpointFile::CheckpointFile(const std::string& model, bool resume, bool overwrite,
                               kernels::Communicator& communicator)
    : communicator_(communicator),
      path_(checkpoint_path(model)),
      lock_path_(model + ".lock"),
      resume_(resume) {
  if (!writes()) return;
  lock();
  if (std::filesystem::exists(path_) && !resume && !overwrite) {
    unlock();
    throw UsageError(path_ + ": a training that was cut off left this checkpoint",
                     "go on from it with --resume, or start again with --overwrite");
  }
}

CheckpointFile::~CheckpointFile() { unlock(); }

// The file of a lock may go between opening and locking it, with the run that held it.
void CheckpointFile::lock() {
  while (true) {
    lock_ = open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0) throw UsageError(lock_path_ + ": cannot be written: " + std::strerror(errno));
    if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      const int fault = errno;
      if (fault != EWOULDBLOCK) unlink(lock_path_.c_str());
      close(lock_);
      lock_ = -1;
      if (fault == EWOULDBLOCK)
        throw UsageError(lock_path_ + ": another training is at work on this --model",
                         "wait for its end, or name another --model");
      tell(lock_path_ + ": cannot be locked (" + std::strerror(fault) +
           "): nothing hinders another training on this --model");
      return;
    }
    struct stat locked {
    }, named{};
    if (fstat(lock_, &locked) == 0 && stat(lock_path_.c_str(), &named) == 0 &&
        locked.st_dev == named.st_dev && locked.st_ino == named.st_ino)
      return;
    close(lock_);
  }
}

void CheckpointFile::unlock() {
  if (lock_ < 0) return;
  unlink(lock_path_.c_str());
  close(lock_);
  lock_ = -1;
}

std::optional<Checkpoint> CheckpointFile::load(const std::string& recipe) const {
  if (!resume_) return std::nullopt;
  if (communicator_.ranks() == 1) return load_checkpoint(path_, recipe);
  MessageWriter message;  // nothing, or the file
  if (writes() && std::filesystem::exists(path_)) message.put_text(read_file(path_));
  const std::string file = broadcast_message(communicator_, message.bytes());
  if (file.empty()) return std::nullopt;
  const std::string bytes = MessageReader(file).get_text();
  return checkpoint_in(nn::load_safetensors(std::as_bytes(std::span(bytes)), path_), path_, recipe);
}

void CheckpointFile::save(const Checkpoint& checkpoint) {
  for (const nn::StateDict* state : {&checkpoint.model, &checkpoint.optimizer, &checkpoint.average})
    require_finite(*state);
  if (!writes()) return;
  try {
    save_checkpoint(path_, checkpoint);
    if (!saved_) tell("the checkpoint could be written again");
    saved_ = true;
  } catch (const std::runtime_error& fault) {
    tell(std::string(fault.what()) + ": the training goes on without this checkpoint");
    saved_ = false;
  }
}

void CheckpointFile::remove() {
  if (writes()) std::filesystem::remove(path_);
}

}  // namespace maskwatch::apps
