// What a plan (nn/plan.h) is made of: each node of a graph as a call of a kernel, with its weights
// packed as the kernel reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/graph.h"

namespace maskwatch::nn {

// One kernel call of a plan: its name with shapes, and for one picture its multiply-adds (of the
// layers with weights; 0 for the others) and the bytes of what it reads and makes.
struct PlanStep {
  std::string name;
  double products = 0;
  std::int64_t value_bytes = 0;   // of inputs and result
  std::int64_t weight_bytes = 0;  // of weights and biases
  bool in_int8 = false;
};

// values[i]: where value i of `batch` pictures lies.
using PlanRun = std::function<void(float* const* values, std::int64_t batch)>;

struct RunnableStep {
  PlanRun run;
  PlanStep about;
};

// A value of the graph, and where a plan keeps it: step i makes value i + 1.
struct PlanValue {
  ActivationShape shape;
  int first_step = 0, last_use = 0;
  int output = -1;  // which one of the graph
  int stored = -1;  // in memory of its own rather than in an arena
};

struct PlanSteps {
  std::vector<PlanValue> values;
  std::vector<RunnableStep> steps;
  std::int64_t weights = 0;  // floats of packed weights
};

// Calls of `device`, wherever the graph's weights lie. std::runtime_error for networks that are
// over a limit for memory or work (base/resource_limits.h), or of more than 16384 steps.
PlanSteps plan_steps(const Graph& graph, kernels::Device& device);

// Numbers that a network may take as weights and values (kMaxNetworkMemory), and the error of one
// that takes more.
std::int64_t most_network_floats();
[[noreturn]] void fail_for_memory(std::int64_t floats);

}  // namespace maskwatch::nn
