// Converted networks: the graph in a file's metadata to a plan, and what a face detector or a
// finder of landmarks makes of its numbers.
#include <algorithm>
#include <span>

#include "nn/fuse.h"
#include "nn/quantize.h"
#include "nn/safetensors.h"
#include "nn/ssd.h"
#include "tests/fuzz/fuzz.h"
#include "tests/vision/faces/tiny_detector.h"
#include "tests/vision/faces/tiny_landmark_network.h"
#include "vision/faces/landmark_network.h"
#include "vision/faces/ssd.h"

namespace maskwatch::fuzz {
namespace {

// One of each operation that tiny_detector() has not.
nn::Safetensors busy_graph() {
  nn::Safetensors contents = tiny_detector();
  contents.metadata["graph"] = R"([
    {"op":"conv2d","inputs":["input"],"output":"a","weight":"full","bias":"five","stride":2,
     "dilation":1,"pad":[1,1,1,1],"activation":"relu6"},
    {"op":"depthwise","inputs":["a"],"output":"b","weight":"thin","bias":"five","stride":1,
     "dilation":1,"pad":[1,1,1,1],"activation":"relu6"},
    {"op":"pointwise","inputs":["b"],"output":"c","weight":"point","bias":"five"},
    {"op":"depthwise","inputs":["c"],"output":"d","weight":"thin","bias":"five","stride":1,
     "dilation":2,"pad":[2,2,2,2],"activation":"none"},
    {"op":"add","inputs":["c","d","c"],"output":"e","activation":"relu"},
    {"op":"concat","inputs":["c","e"],"output":"f","axis":3},
    {"op":"reshape","inputs":["e"],"output":"g","shape":[-1,2]},
    {"op":"sigmoid","inputs":["g"],"output":"scores"},
    {"op":"reshape","inputs":["f"],"output":"boxes","shape":[-1,4]}])";
  const auto filled = [](const nn::Shape& shape) { return nn::Tensor::full(shape, 0.25f); };
  contents.tensors["full"] = filled({3, 3, 3, 5});
  contents.tensors["thin"] = filled({3, 3, 5});
  contents.tensors["point"] = filled({5, 5});
  contents.tensors["five"] = filled({5});
  contents.tensors["priors"] = filled({320, 4});
  return contents;
}

std::vector<std::string> seeds() {
  std::vector<std::string> seeds;
  for (const nn::Safetensors& contents :
       {tiny_detector(), tiny_landmark_network::tiny_network(), busy_graph()})
    seeds.push_back(
        bytes_of([&](const std::string& path) { nn::save_safetensors(path, contents); }));
  nn::SsdNetworkOptions options;
  options.backbone.width = 0.05;
  options.backbone.input_size = 64;
  options.channels = 8;
  nn::SsdNetwork network(options);
  network.eval();
  seeds.push_back(bytes_of(
      [&](const std::string& path) { nn::save_ssd(path, network, {}, nn::Precision::f16); }));
  // The same in int8.
  std::string in_float = seeds.back();
  nn::Safetensors contents = nn::load_safetensors(std::as_bytes(std::span(in_float)), "network");
  const nn::Graph fused = nn::fuse(network.graph(64, 64));
  contents.metadata[nn::kQuantizationKey] = nn::text_of_quantization(nn::calibrate(
      fused, 1,
      [&](std::int64_t, float* pixels) {
        std::fill_n(pixels, fused.shape(fused.input()).count(), 0.5f);
      },
      nn::RangeMethod::extremes));
  seeds.push_back(bytes_of(
      [&](const std::string& path) { nn::save_safetensors(path, contents, nn::Precision::i8); }));
  return seeds;
}

bool run(std::string_view bytes) {
  const std::span<const std::byte> contents(reinterpret_cast<const std::byte*>(bytes.data()),
                                            bytes.size());
  const vision::Image image = tiny_landmark_network::picture_of(70, 50);
  const bool detects = expect_faults([&] {
    vision::SsdDetector detector(contents, "network");
    detector.detect_labelled(image, {.scales = {{64}}});
  });
  const bool finds_landmarks = expect_faults([&] {
    vision::LandmarkNetwork network(contents, "network");
    network.predict(image, {10, 10, 30, 30});
  });
  return detects || finds_landmarks;
}

}  // namespace

const Target network{"network", seeds, run, mutate_safetensors, true};

}  // namespace maskwatch::fuzz
