#include "apps/checkpoint.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/program.h"
#include "nn/safetensors.h"

namespace apps {
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
                       {"history", to_json(checkpoint.history).dump()}};
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
      throw UsageError(path + ": not a checkpoint: " + key + " is missing",
                       "start again without --resume");
    return found->second;
  };
  Checkpoint checkpoint;
  checkpoint.recipe = text("recipe");
  if (checkpoint.recipe != recipe)
    throw UsageError(path + ": made with other options or pictures: " +
                         one_line(checkpoint.recipe) + "; now " + recipe,
                     "start again without --resume");
  try {
    checkpoint.steps_taken = std::stoll(text("steps_taken"));
    checkpoint.history = history_from_json(nlohmann::json::parse(text("history")));
  } catch (const std::logic_error& fault) {
    throw UsageError(path + ": not a checkpoint: " + fault.what());
  } catch (const nlohmann::json::exception& fault) {
    throw UsageError(path + ": not a checkpoint: " + fault.what());
  }
  checkpoint.model = part_of(contents.tensors, kModelPrefix);
  checkpoint.optimizer = part_of(contents.tensors, kOptimizerPrefix);
  return checkpoint;
}

}  // namespace apps
