// What our face detector gives, for ../data/export_test.py:
//
//   ssd_outputs MODEL.safetensors PICTURES.safetensors RESULT.safetensors
//
// PICTURES holds "pictures" [n, height, width, 3], preprocessed. RESULT holds of all anchors
// "predictions" [n, anchors, 5 + classes], as the network gives them, and what nn/anchors.h makes
// of them: "boxes" [n, anchors, 4] (left, top, right, bottom in pixels), "scores" [n, anchors] and
// "probabilities" [n, anchors, classes].
#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <vector>

#include "nn/fuse.h"
#include "nn/ssd.h"

using namespace maskwatch;

namespace {

void run(const std::string& model_file, const std::string& from, const std::string& to) {
  const auto network = nn::load_ssd(model_file);
  const nn::Tensor pictures = nn::load_safetensors(from).tensors.at("pictures");
  const std::int64_t count = pictures.dim(0), height = pictures.dim(1), width = pictures.dim(2);
  nn::Plan plan(nn::fuse(network->graph(height, width)), count);
  plan.run(pictures.data(), count);

  const std::vector<nn::Anchor> anchors = network->anchors(height, width);
  const std::int64_t rows = std::ssize(anchors), classes = network->classes(), row = 5 + classes;
  nn::Safetensors result;
  const auto add = [&](const char* name, nn::Shape shape) {
    return (result.tensors[name] = nn::Tensor::empty(std::move(shape))).data();
  };
  float* predictions = add("predictions", {count, rows, row});
  float* boxes = add("boxes", {count, rows, 4});
  float* scores = add("scores", {count, rows});
  float* probabilities = add("probabilities", {count, rows, classes});
  std::copy_n(plan.output(), count * rows * row, predictions);
  for (std::int64_t n = 0; n < count; ++n) {
    const std::span<const float> numbers(predictions + n * rows * row,
                                         static_cast<std::size_t>(rows * row));
    for (const nn::SsdBox& found : nn::decode(numbers, anchors, 0)) {
      const auto& [x0, y0, x1, y1] = found.box;
      for (const float edge : {x0, y0, x1, y1}) *boxes++ = edge;
      *scores++ = found.score;
      probabilities =
          std::copy(found.probabilities.begin(), found.probabilities.end(), probabilities);
    }
  }
  nn::save_safetensors(to, result);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return std::fputs("usage: ssd_outputs MODEL PICTURES RESULT\n", stderr), 2;
  try {
    run(arguments[1], arguments[2], arguments[3]);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 2;
  }
}
