#include "apps/training/checkpoint.h"

#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "nn/safetensors.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kModelPrefix = "model.";
constexpr const char* kOptimizerPrefix = "optimizer.";

void add_all(nn::StateDict& all, const std::string& prefix, const nn::StateDict& part) {
  for (const auto& [name, tensor] : part) all[prefix + name] = tensor;
}

nn::StateDict part_of(const nn::StateDict& all, const std::string& prefix) {
  nn::StateDict part;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) part[name.substr(prefix.size())] = tensor;
  return part;
}

}  // namespace

std::string checkpoint_path(const std::string& model) { return model + ".checkpoint"; }

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  nn::Safetensors contents;
  contents.metadata = {{"format", "maskwatch checkpoint"},
                       {"recipe", checkpoint.recipe},
                       {"steps_taken", std::to_string(checkpoint.steps_taken)},
                       {"history", history_text(checkpoint.history)}};
  add_all(contents.tensors, kModelPrefix, checkpoint.model);
  add_all(contents.tensors, kOptimizerPrefix, checkpoint.optimizer);
  nn::save_safetensors(path, contents);
}

std::optional<Checkpoint> load_checkpoint(const std::string& path, const std::string& recipe) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const nn::Safetensors contents = nn::load_safetensors(path);
  const auto text = [&](const char* key) {
    const auto found = contents.metadata.find(key);
    if (found == contents.metadata.end())
      throw std::runtime_error(path + ": not a checkpoint: " + key + " is missing");
    return found->second;
  };
  Checkpoint checkpoint;
  checkpoint.recipe = text("recipe");
  if (checkpoint.recipe != recipe)
    throw std::runtime_error(path + ": made with other options or pictures: " + checkpoint.recipe +
                             "; now " + recipe);
  checkpoint.history = parse_history(text("history"), path);
  const std::string steps = text("steps_taken");
  const auto [end, error] =
      std::from_chars(steps.data(), steps.data() + steps.size(), checkpoint.steps_taken);
  if (error != std::errc() || end != steps.data() + steps.size() || checkpoint.steps_taken < 0)
    throw std::runtime_error(path + ": not a checkpoint: steps_taken is " + steps);
  checkpoint.model = part_of(contents.tensors, kModelPrefix);
  checkpoint.optimizer = part_of(contents.tensors, kOptimizerPrefix);
  return checkpoint;
}

}  // namespace maskwatch::apps
