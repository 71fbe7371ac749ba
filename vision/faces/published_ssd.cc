#include "vision/faces/published_ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "nn/graph_file.h"
#include "vision/faces/network_metadata.h"

namespace maskwatch::vision {
namespace {

constexpr int kMostClasses = 1 << 20;
constexpr float kMaxOverlap = 0.3f;

// Metadata "detector" of a detector of boxes.
struct Form {
  InputForm input;
  std::string scores, boxes;
  int face_class = 0;
  std::vector<CenterBox> priors;
  Variances variances;
};

std::vector<CenterBox> read_priors(const MetadataReader& reader, const nn::Safetensors& contents) {
  const std::string name = reader["priors"].text();
  const auto found = contents.tensors.find(name);
  if (found == contents.tensors.end()) reader.fail("the tensor " + name + " is missing");
  const nn::Tensor& tensor = found->second;
  if (tensor.shape().size() != 2 || tensor.dim(1) != 4 || tensor.dim(0) == 0)
    reader.fail("the priors have the shape " + nn::to_string(tensor.shape()) + ", not [P, 4]");
  std::vector<CenterBox> priors;
  for (std::int64_t i = 0; i < tensor.dim(0); ++i) {
    const float* p = tensor.data() + 4 * i;
    priors.push_back({p[0], p[1], p[2], p[3]});
  }
  return priors;
}

Form read_form(const nn::Safetensors& contents, const std::string& path) {
  const MetadataReader reader(contents, path);
  Form form;
  reader.require_kind("boxes");
  if (reader["coding"].text() != "center_size") reader["coding"].fail("is not \"center_size\"");
  form.input = reader.input();
  form.scores = reader["outputs"]["scores"].text();
  form.boxes = reader["outputs"]["boxes"].text();
  form.face_class = static_cast<int>(reader["face_class"].whole_number(0, kMostClasses - 1));
  const auto variances = reader["variances"].numbers(2);
  form.variances = {static_cast<float>(variances[0]), static_cast<float>(variances[1])};
  form.priors = read_priors(reader, contents);
  return form;
}

}  // namespace

std::vector<CenterBox> make_priors(int width, int height, std::span<const int> strides,
                                   const std::vector<std::vector<float>>& min_boxes) {
  if (strides.size() != min_boxes.size() || width < 1 || height < 1)
    throw std::invalid_argument(
        fmt::format("make_priors: {} strides and {} lists of sizes for {}x{}", strides.size(),
                    min_boxes.size(), width, height));
  std::vector<CenterBox> priors;
  for (std::size_t level = 0; level < strides.size(); ++level) {
    const int stride = strides[level];
    if (stride < 1) throw std::invalid_argument("make_priors: a stride below 1");
    const int columns = (width + stride - 1) / stride, rows = (height + stride - 1) / stride;
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        for (const float size : min_boxes[level])
          priors.push_back({(static_cast<float>(column) + 0.5f) / static_cast<float>(columns),
                            (static_cast<float>(row) + 0.5f) / static_cast<float>(rows),
                            std::min(size / static_cast<float>(width), 1.0f),
                            std::min(size / static_cast<float>(height), 1.0f)});
  }
  return priors;
}

std::vector<Box> decode_boxes(std::span<const float> encoded, std::span<const CenterBox> priors,
                              const Variances& variances) {
  if (encoded.size() != 4 * priors.size())
    throw std::invalid_argument(
        fmt::format("decode_boxes: {} numbers for {} priors", encoded.size(), priors.size()));
  std::vector<Box> boxes(priors.size());
  for (std::size_t i = 0; i < priors.size(); ++i) {
    const CenterBox& prior = priors[i];
    const float* code = encoded.data() + 4 * i;
    const float x = prior.x + code[0] * variances.center * prior.width;
    const float y = prior.y + code[1] * variances.center * prior.height;
    const float width = prior.width * std::exp(code[2] * variances.size);
    const float height = prior.height * std::exp(code[3] * variances.size);
    boxes[i] = {x - width / 2, y - height / 2, width, height};
  }
  return boxes;
}

struct PublishedSsd::Network {
  Form form;
  nn::Plan plan;
  std::int64_t classes = 0;

  Network(const nn::Safetensors& contents, const std::string& path, Form read,
          kernels::Device& device)
      : form(std::move(read)),
        plan(nn::compile_graph(contents, path, {form.input.height, form.input.width, 3},
                               {form.scores, form.boxes}, 1, device)) {
    const auto count = static_cast<std::int64_t>(form.priors.size());
    const nn::ActivationShape &scores = plan.output_shape(0), &boxes = plan.output_shape(1);
    classes = scores.channels;
    if (scores.height != count || scores.width != 1 || boxes != nn::ActivationShape{count, 1, 4})
      throw std::runtime_error(
          fmt::format("{}: {} priors, but the network scores {} boxes and places {}", path, count,
                      scores.height, boxes.height));
    if (form.face_class < 0 || form.face_class >= classes)
      throw std::runtime_error(
          fmt::format("{}: face_class {} of {} classes", path, form.face_class, classes));
  }
};

PublishedSsd::PublishedSsd(const std::string& file)
    : PublishedSsd(nn::load_safetensors(file), file) {}
PublishedSsd::PublishedSsd(const nn::Safetensors& contents, const std::string& name,
                           kernels::Device& device)
    : network_(std::make_unique<Network>(contents, name, read_form(contents, name), device)) {}
PublishedSsd::~PublishedSsd() = default;

PublishedSsd::Raw PublishedSsd::run(std::span<const float> input) {
  nn::Plan& plan = network_->plan;
  if (static_cast<std::int64_t>(input.size()) != plan.input_shape().count())
    throw std::invalid_argument(fmt::format("PublishedSsd::run: {} numbers for an input of {}",
                                            input.size(), plan.input_shape().count()));
  plan.run(input.data(), 1);
  const auto span = [&](int i) {
    return std::span<const float>(plan.output(i),
                                  static_cast<std::size_t>(plan.output_shape(i).count()));
  };
  return {span(0), span(1)};
}

std::vector<float> PublishedSsd::network_input(const ImageView& image) const {
  const InputForm& form = network_->form.input;
  std::vector<float> input(form.count());
  fill_input(form, image, input);
  return input;
}

std::vector<Box> PublishedSsd::decode(std::span<const float> boxes) const {
  return decode_boxes(boxes, network_->form.priors, network_->form.variances);
}

std::vector<Detection> PublishedSsd::detect(const ImageView& image, const SsdOptions& options) {
  const Raw raw = run(network_input(image));
  const Form& form = network_->form;
  const PixelBox extent = form.input.extent(image.width, image.height);
  const std::vector<Box> boxes = decode(raw.boxes);
  const float x = static_cast<float>(image.width) / static_cast<float>(extent.width);
  const float y = static_cast<float>(image.height) / static_cast<float>(extent.height);
  // From shares of the network's input to pixels of the picture.
  const auto placed = [&](const Box& box) {
    return Box{(box.x * static_cast<float>(form.input.width) - static_cast<float>(extent.x)) * x,
               (box.y * static_cast<float>(form.input.height) - static_cast<float>(extent.y)) * y,
               box.width * static_cast<float>(form.input.width) * x,
               box.height * static_cast<float>(form.input.height) * y};
  };
  std::vector<Detection> found;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const float score = raw.scores[i * static_cast<std::size_t>(network_->classes) +
                                   static_cast<std::size_t>(form.face_class)];
    if (score > options.confidence) found.push_back({placed(boxes[i]), score});
  }
  std::vector<Detection> faces =
      non_maximum_suppression(std::move(found), options.max_overlap.value_or(kMaxOverlap));
  for (Detection& face : faces) face.box = cut_off(face.box, image.width, image.height);
  std::erase_if(
      faces, [](const Detection& face) { return !(face.box.width >= 1 && face.box.height >= 1); });
  return faces;
}

}  // namespace maskwatch::vision
