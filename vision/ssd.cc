#include "vision/ssd.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "nn/graph_plan.h"
#include "vision/bilinear.h"

namespace vision {
namespace {

using nlohmann::json;

constexpr int kLargestInput = 2048;

enum class Fit {
  stretch,  // to the input's size, whatever the proportions
  corner,   // proportions kept; black at the right or below
};

// Metadata "detector".
struct Form {
  int width = 0, height = 0;
  std::array<float, 3> mean{}, scale{};
  Fit fit = Fit::stretch;
  std::string scores, boxes;
  int face_class = 0;
  std::vector<CenterBox> priors;
  Variances variances;
};

// Reads metadata "detector" of one file.
class FormReader {
 public:
  FormReader(const nn::Safetensors& contents, const std::string& path)
      : contents_(contents), path_(path) {
    const auto found = contents.metadata.find("detector");
    if (found == contents.metadata.end())
      fail("no detector that data/convert_weights.py made: metadata detector is missing");
    form_ = json::parse(found->second, nullptr, false);
    if (!form_.is_object()) fail("metadata detector is no object");
  }

  Form read() const {
    Form form;
    if (text(form_, "kind") != "boxes") fail("finds no boxes: kind is " + text(form_, "kind"));
    if (text(form_, "coding") != "center_size")
      fail("coding " + text(form_, "coding") + " is unknown");
    if (text(form_, "order") != "rgb") fail("order " + text(form_, "order") + " is unknown");
    const auto size = numbers("input_size", 2);
    for (const double side : size)
      if (!(side >= 16 && side <= kLargestInput) || side != std::floor(side))
        fail("input_size is out of range");
    form.width = static_cast<int>(size[0]);
    form.height = static_cast<int>(size[1]);
    const auto mean = numbers("mean", 3), scale = numbers("scale", 3);
    for (std::size_t c = 0; c < 3; ++c) {
      form.mean[c] = static_cast<float>(mean[c]);
      form.scale[c] = static_cast<float>(scale[c]);
    }
    form.fit = fit();
    const json& outputs = part(form_, "outputs");
    form.scores = text(outputs, "scores");
    form.boxes = text(outputs, "boxes");
    const json& face_class = part(form_, "face_class");
    if (!face_class.is_number_integer()) fail("face_class is no whole number");
    form.face_class = static_cast<int>(std::clamp<std::int64_t>(face_class, -1, 1 << 20));
    const auto variances = numbers("variances", 2);
    form.variances = {static_cast<float>(variances[0]), static_cast<float>(variances[1])};
    form.priors = priors();
    return form;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_ + ": " + what);
  }

  const json& part(const json& object, const char* key) const {
    if (!object.is_object() || !object.contains(key))
      fail(std::string("metadata detector: ") + key + " is missing");
    return object[key];
  }

  std::string text(const json& object, const char* key) const {
    const json& value = part(object, key);
    if (!value.is_string()) fail(std::string("metadata detector: ") + key + " is no string");
    return value.get<std::string>();
  }

  std::vector<double> numbers(const char* key, std::size_t count) const {
    const json& list = part(form_, key);
    std::vector<double> numbers;
    if (list.is_array())
      for (const json& value : list)
        if (value.is_number()) numbers.push_back(value.get<double>());
    if (numbers.size() != count || list.size() != count)
      fail(fmt::format("metadata detector: {} is no list of {} numbers", key, count));
    return numbers;
  }

  Fit fit() const {
    const std::string name = text(form_, "resize");
    if (name == "stretch") return Fit::stretch;
    if (name == "letterbox_top_left") return Fit::corner;
    fail("metadata detector: resize " + name + " is unknown");
  }

  std::vector<CenterBox> priors() const {
    const std::string name = text(form_, "priors");
    const auto found = contents_.tensors.find(name);
    if (found == contents_.tensors.end()) fail("the tensor " + name + " is missing");
    const nn::Tensor& tensor = found->second;
    if (tensor.shape().size() != 2 || tensor.dim(1) != 4 || tensor.dim(0) == 0)
      fail("the priors have the shape " + nn::to_string(tensor.shape()) + ", not [P, 4]");
    std::vector<CenterBox> priors;
    for (std::int64_t i = 0; i < tensor.dim(0); ++i) {
      const float* p = tensor.data() + 4 * i;
      priors.push_back({p[0], p[1], p[2], p[3]});
    }
    return priors;
  }

  const nn::Safetensors& contents_;
  const std::string& path_;
  json form_;
};

Box scaled(const Box& box, float x, float y) {
  return {box.x * x, box.y * y, box.width * x, box.height * y};
}

// The part of the box inside the picture; empty where there is none.
Box cut_off(const Box& box, const Image& image) {
  const float left = std::max(box.x, 0.0f), top = std::max(box.y, 0.0f);
  const float right = std::min(box.x + box.width, static_cast<float>(image.width));
  const float bottom = std::min(box.y + box.height, static_cast<float>(image.height));
  return {left, top, std::max(right - left, 0.0f), std::max(bottom - top, 0.0f)};
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

float intersection_over_union(const Box& a, const Box& b) {
  const float width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const float height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (!(width > 0 && height > 0)) return 0;
  const float shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

std::vector<Detection> non_maximum_suppression(std::vector<Detection> detections, float max_overlap,
                                               std::size_t candidates) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (detections.size() > candidates) detections.resize(candidates);
  std::vector<Detection> kept;
  for (const Detection& next : detections) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Detection& surer) {
      return intersection_over_union(surer.box, next.box) > max_overlap;
    });
    if (!hidden) kept.push_back(next);
  }
  return kept;
}

struct SsdDetector::Network {
  Form form;
  nn::Plan plan;
  std::int64_t classes = 0;

  Network(const nn::Safetensors& contents, const std::string& path, Form read)
      : form(std::move(read)),
        plan(nn::compile_graph(contents, path, {form.height, form.width, 3},
                               {form.scores, form.boxes})) {
    const auto count = static_cast<std::int64_t>(form.priors.size());
    const nn::PictureShape &scores = plan.output_shape(0), &boxes = plan.output_shape(1);
    classes = scores.channels;
    if (scores.height != count || scores.width != 1 || boxes != nn::PictureShape{count, 1, 4})
      throw std::runtime_error(
          fmt::format("{}: {} priors, but the network scores {} boxes and places {}", path, count,
                      scores.height, boxes.height));
    if (form.face_class < 0 || form.face_class >= classes)
      throw std::runtime_error(
          fmt::format("{}: face_class {} of {} classes", path, form.face_class, classes));
  }

  // Pixels of the input that the picture takes.
  ImageSize extent(const Image& image) const {
    if (form.fit == Fit::stretch) return {form.width, form.height};
    const double scale = std::min(static_cast<double>(form.width) / image.width,
                                  static_cast<double>(form.height) / image.height);
    return {std::max(1, static_cast<int>(std::lround(image.width * scale))),
            std::max(1, static_cast<int>(std::lround(image.height * scale)))};
  }
};

SsdDetector::SsdDetector(const std::string& file) {
  const nn::Safetensors contents = nn::load_safetensors(file);
  network_ = std::make_unique<Network>(contents, file, FormReader(contents, file).read());
}
SsdDetector::~SsdDetector() = default;
SsdDetector::SsdDetector(SsdDetector&&) noexcept = default;
SsdDetector& SsdDetector::operator=(SsdDetector&&) noexcept = default;

int SsdDetector::input_width() const { return network_->form.width; }
int SsdDetector::input_height() const { return network_->form.height; }

SsdDetector::Raw SsdDetector::run(std::span<const float> input) {
  nn::Plan& plan = network_->plan;
  if (static_cast<std::int64_t>(input.size()) != plan.input_shape().count())
    throw std::invalid_argument(fmt::format("SsdDetector::run: {} numbers for an input of {}",
                                            input.size(), plan.input_shape().count()));
  plan.run(input.data(), 1);
  const auto span = [&](int i) {
    return std::span<const float>(plan.output(i),
                                  static_cast<std::size_t>(plan.output_shape(i).count()));
  };
  return {span(0), span(1)};
}

std::vector<float> SsdDetector::network_input(const Image& image) const {
  if (image.empty()) throw std::invalid_argument("SsdDetector: an empty picture");
  const Form& form = network_->form;
  const ImageSize extent = network_->extent(image);
  std::vector<float> input(static_cast<std::size_t>(form.width) * form.height * 3);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = -form.mean[i % 3] * form.scale[i % 3];
  const Image small = resize_bilinear(image, extent.width, extent.height);
  for (int y = 0; y < extent.height; ++y) {
    float* row = input.data() + static_cast<std::size_t>(y) * form.width * 3;
    for (int x = 0; x < extent.width; ++x)
      for (int c = 0; c < 3; ++c) {
        const std::uint8_t value = small.at(x, y)[small.channels == 3 ? c : 0];
        const auto channel = static_cast<std::size_t>(c);
        row[3 * x + c] = (static_cast<float>(value) - form.mean[channel]) * form.scale[channel];
      }
  }
  return input;
}

std::vector<Box> SsdDetector::decode(std::span<const float> boxes) const {
  return decode_boxes(boxes, network_->form.priors, network_->form.variances);
}

std::vector<Detection> SsdDetector::detect(const Image& image, const SsdOptions& options) {
  const Raw raw = run(network_input(image));
  const Form& form = network_->form;
  const ImageSize extent = network_->extent(image);
  const std::vector<Box> boxes = decode(raw.boxes);
  // From shares of the network's input to pixels of the picture.
  const float x = static_cast<float>(form.width) / static_cast<float>(extent.width) *
                  static_cast<float>(image.width);
  const float y = static_cast<float>(form.height) / static_cast<float>(extent.height) *
                  static_cast<float>(image.height);
  std::vector<Detection> found;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const float score = raw.scores[i * static_cast<std::size_t>(network_->classes) +
                                   static_cast<std::size_t>(form.face_class)];
    if (score > options.confidence) found.push_back({scaled(boxes[i], x, y), score});
  }
  std::vector<Detection> faces = non_maximum_suppression(std::move(found), options.max_overlap);
  for (Detection& face : faces) face.box = cut_off(face.box, image);
  std::erase_if(
      faces, [](const Detection& face) { return !(face.box.width >= 1 && face.box.height >= 1); });
  return faces;
}

}  // namespace vision
