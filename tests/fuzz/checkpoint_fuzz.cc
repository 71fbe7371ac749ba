// Checkpoints of trainings (safetensors) and their histories (JSON).
#include <sys/mman.h>
#include <unistd.h>

#include "apps/training/checkpoint.h"
#include "apps/training/history.h"
#include "apps/training/step_trainer.h"
#include "tests/fuzz/fuzz.h"

namespace maskwatch::fuzz {
namespace {

constexpr const char* kRecipe = "data 1, start 2, epochs 3, seed 42";

std::vector<std::string> seeds() {
  const apps::History history{{1, 0.5, 0.75, 0.25, 0.875, 1e-3, 2},
                              {2, 0.25, 1, 0.125, 1, 1e-4, 2}};
  const std::vector<apps::StretchRecord> records{
      {500, 1e-3, 2, {{"loss", 0.5}}, {{"precision", 0.75}}}};
  apps::Checkpoint checkpoint{kRecipe,
                              7,
                              5,
                              apps::history_text(history),
                              {{"w", nn::Tensor::full({2, 3}, 1)}},
                              {{"w.m", nn::Tensor::full({6}, 2)}},
                              {{"w", nn::Tensor::full({2, 3}, 3)}}};
  std::vector<std::string> seeds{apps::history_text(history), apps::stretches_text(records)};
  for (const char* recipe : {kRecipe, "data 1, start 3, epochs 4, seed 42", "another"}) {
    checkpoint.recipe = recipe;
    seeds.push_back(
        bytes_of([&](const std::string& path) { apps::save_checkpoint(path, checkpoint); }));
  }
  return seeds;
}

bool run_history(std::string_view bytes) {
  const bool epochs =
      expect_faults([&] { apps::history_text(apps::parse_history(bytes, "history")); });
  const bool stretches = expect_faults(
      [&] { apps::stretches_text(apps::parse_stretches(std::string(bytes), "history")); });
  return epochs || stretches;
}

bool run(std::string_view bytes) {
  if (bytes.starts_with('{')) return run_history(bytes);
  // A file in memory.
  const int file = memfd_create("checkpoint", MFD_CLOEXEC);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != std::ssize(bytes)) std::abort();
  const bool sound = expect_faults([&] {
    const auto checkpoint = apps::load_checkpoint("/proc/self/fd/" + std::to_string(file), kRecipe);
    if (checkpoint) run_history(checkpoint->history);
  });
  close(file);
  return sound;
}

void mutate(std::string& bytes, std::size_t most, const Mutator& plain, Random& random) {
  if (bytes.starts_with('{')) return plain(bytes, most);
  mutate_safetensors(bytes, most, plain, random);
}

}  // namespace

const Target checkpoint{"checkpoint", seeds, run, mutate, false};

}  // namespace maskwatch::fuzz
