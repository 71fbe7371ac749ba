// What an inference plan gives in float32, for converted_features_test.py:
//
//   features MODEL.safetensors PICTURES.safetensors RESULT.safetensors
//
// PICTURES holds "pictures" [n, size, size, 3], preprocessed. RESULT holds "features" [n,
// channels], averaged over positions, and "probabilities" [n, classes] where the model has a head.
#include <algorithm>
#include <cstdio>
#include <exception>

#include "nn/classifier.h"
#include "nn/fuse.h"

using namespace maskwatch;

namespace {

nn::Tensor rows_of(const float* numbers, std::int64_t rows, std::int64_t columns) {
  nn::Tensor tensor = nn::Tensor::empty({rows, columns});
  std::copy_n(numbers, rows * columns, tensor.data());
  return tensor;
}

void run(const std::string& model_file, const std::string& from, const std::string& to) {
  const auto model = nn::load_classifier(model_file);
  const nn::Tensor pictures = nn::load_safetensors(from).tensors.at("pictures");
  const std::int64_t count = pictures.dim(0);
  nn::Graph graph(model->input_shape());
  graph.output(model->backbone().trace_pooled(graph, graph.input()));
  nn::Plan features(nn::fuse(graph), count);
  features.run(pictures.data(), count);
  nn::Safetensors result;
  result.tensors["features"] = rows_of(features.output(), count, features.output_shape().channels);
  if (model->options().head != nn::HeadKind::none) {
    nn::Plan whole(nn::fuse(model->graph()), count);
    whole.run(pictures.data(), count);
    result.tensors["probabilities"] = rows_of(whole.output(), count, whole.output_shape().channels);
  }
  nn::save_safetensors(to, result);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) return std::fputs("usage: features MODEL PICTURES RESULT\n", stderr), 2;
  try {
    run(arguments[1], arguments[2], arguments[3]);
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 2;
  }
}
