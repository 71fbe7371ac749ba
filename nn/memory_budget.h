// Training within a budget of memory: measures what each stage of a network holds in a step, and
// decides which ones keep only their result and run again in backward() (nn/ops/recompute.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nn/memory.h"
#include "nn/module.h"

namespace maskwatch::nn {

// Bytes that one stage holds in a training step.
struct StageMemory {
  std::int64_t kept = 0;      // for its backward(), with its result
  std::int64_t result = 0;    // alone
  std::int64_t backward = 0;  // the most while its gradient is taken, or its forward run again
};

// Runs each stage forward and backward, one at a time, from x on, whose values do not matter.
// Running statistics stay, and no gradients are left. Nothing else may hold or take tensors
// meanwhile; the peak of memory_use() begins anew.
inline std::vector<StageMemory> measure_stages(const std::vector<Module*>& stages, Tensor x) {
  const RecordingScope scope(Recording::again);
  const auto held = [] { return static_cast<std::int64_t>(memory_use().live); };
  std::vector<StageMemory> measured;
  for (Module* stage : stages) {
    StageMemory memory;
    const std::int64_t before = held();
    reset_memory_peak();
    const Tensor y = stage->forward(x);
    memory.kept = held() - before;
    memory.result = y.count() * static_cast<std::int64_t>(sizeof(float));
    if (y.requires_grad()) y.backward(Tensor::zeros(y.shape(), y.device()));
    memory.backward = static_cast<std::int64_t>(memory_use().peak) - before;
    measured.push_back(memory);
    for (const Tensor& parameter : stage->trainable_parameters()) parameter.zero_grad();
    x = y.detach();
    x.set_requires_grad(true);
  }
  return measured;
}

struct MemoryPlan {
  std::vector<bool> recomputed;  // of each stage
  std::int64_t bytes = 0;        // the most that the stages hold at once
};

// As few stages recomputed as it takes to hold no more than `budget` bytes; if that cannot be, the
// least.
inline MemoryPlan plan_memory(const std::vector<StageMemory>& stages, std::int64_t budget) {
  MemoryPlan plan;
  plan.recomputed.assign(stages.size(), false);
  for (;;) {
    plan.bytes = 0;
    std::size_t peak = 0;  // the stage whose gradient is being taken when the most is held
    std::int64_t before = 0;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      if (before + stages[i].backward > plan.bytes) {
        plan.bytes = before + stages[i].backward;
        peak = i;
      }
      before += plan.recomputed[i] ? stages[i].result : stages[i].kept;
    }
    if (plan.bytes <= budget) return plan;
    // What is kept before the stage of the peak can be less.
    const auto saved = [&](std::size_t i) {
      return plan.recomputed[i] ? 0 : stages[i].kept - stages[i].result;
    };
    std::size_t best = peak;
    for (std::size_t i = 0; i < peak; ++i)
      if (best == peak ? saved(i) > 0 : saved(i) > saved(best)) best = i;
    if (best == peak) return plan;
    plan.recomputed[best] = true;
  }
}

}  // namespace maskwatch::nn
