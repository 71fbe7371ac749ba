#include "apps/training/checkpoint.h"

#include <charconv>
#include <filesystem>
#include <map>
#include <stdexcept>

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

}  // namespace

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
  const nn::Safetensors contents = nn::load_safetensors(path);
  const Reader reader(contents, path);
  Checkpoint checkpoint;
  checkpoint.recipe = reader.text("recipe");
  if (checkpoint.recipe != recipe)
    throw std::runtime_error(path + ": made with other options or pictures: " + checkpoint.recipe +
                             "; now " + recipe);
  checkpoint.history = reader.text("history");
  checkpoint.steps_taken = reader.count("steps_taken");
  checkpoint.average_updates = reader.count(kAverageUpdates);
  checkpoint.model = part_of(contents.tensors, kModelPrefix);
  checkpoint.optimizer = part_of(contents.tensors, kOptimizerPrefix);
  checkpoint.average = part_of(contents.tensors, kAveragePrefix);
  return checkpoint;
}

}  // namespace maskwatch::apps
