// One training step of a detector for ssd_parity_test.py:
//
//   ssd_step STEP.safetensors RESULT.safetensors
//
// STEP holds a detector's tensors, "batch" [n, height, width, 3] and "faces" [faces, 6] (picture,
// x0, y0, x1, y1, label), and in its metadata what a model file says. RESULT holds "loss",
// "outputs", the "gradient.NAME" of every parameter and the running statistics after the step as
// "state.NAME".
#include <cstdio>
#include <exception>

#include "nn/ssd.h"

using namespace maskwatch;

namespace {

std::vector<std::vector<nn::SsdTarget>> targets_of(const nn::Tensor& faces, std::int64_t pictures) {
  std::vector<std::vector<nn::SsdTarget>> targets(static_cast<std::size_t>(pictures));
  for (std::int64_t i = 0; i < faces.dim(0); ++i) {
    const float* face = faces.data() + 6 * i;
    targets.at(static_cast<std::size_t>(face[0]))
        .push_back({{face[1], face[2], face[3], face[4]}, static_cast<int>(face[5])});
  }
  return targets;
}

void run(const std::string& from, const std::string& to) {
  const nn::Safetensors step = nn::load_safetensors(from);
  const auto network = nn::make_ssd(step, from);
  network->train();
  const nn::Tensor& batch = step.tensors.at("batch");
  const nn::Tensor outputs = network->forward(batch);
  const nn::Tensor loss = nn::ssd_loss(outputs, network->anchors(batch.dim(1), batch.dim(2)),
                                       targets_of(step.tensors.at("faces"), batch.dim(0)),
                                       {.alpha = 0.4, .weight_of_class = {1, 1, 1.5}});
  loss.backward();
  nn::Safetensors result{{}, {{"loss", loss}, {"outputs", outputs}}};
  for (const auto& [name, tensor] : network->state_dict())
    if (tensor.requires_grad())
      result.tensors["gradient." + name] = tensor.grad();
    else
      result.tensors["state." + name] = tensor;
  nn::save_safetensors(to, result);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return std::fputs("usage: ssd_step STEP RESULT\n", stderr), 2;
  try {
    run(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 2;
  }
}
