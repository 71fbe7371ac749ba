// One training step for torch_parity_test.py:
//
//   training_step STEP.safetensors RESULT.safetensors
//
// STEP holds a model's tensors, "batch" [n, size, size, 3] and "targets" [n, classes], and in its
// metadata what a model file says. RESULT holds "loss", the
// "gradient.NAME" of every parameter and the running statistics after the step as "state.NAME".
#include <cstdio>
#include <exception>

#include "nn/classifier.h"
#include "nn/ops.h"

using namespace maskwatch;

namespace {

void run(const std::string& from, const std::string& to) {
  const nn::Safetensors step = nn::load_safetensors(from);
  nn::Classifier model(nn::classifier_options(step, from));
  model.load_state_dict(step.tensors);
  const nn::Tensor loss = nn::softmax_cross_entropy(model.forward(step.tensors.at("batch")),
                                                    step.tensors.at("targets"));
  loss.backward();
  nn::Safetensors result{{}, {{"loss", loss}}};
  for (const auto& [name, tensor] : model.state_dict())
    if (tensor.requires_grad())
      result.tensors["gradient." + name] = tensor.grad();
    else
      result.tensors["state." + name] = tensor;
  nn::save_safetensors(to, result);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return std::fputs("usage: training_step STEP RESULT\n", stderr), 2;
  try {
    run(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 2;
  }
}
