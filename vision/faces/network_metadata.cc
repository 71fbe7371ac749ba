#include "vision/faces/network_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "vision/image/network_input.h"
#include "vision/image/resize_bilinear.h"

namespace maskwatch::vision {
namespace {

constexpr int kLargestInput = 2048;

JsonFields parse_form(const nn::Safetensors& contents, const std::string& path) {
  const auto found = contents.metadata.find("detector");
  if (found == contents.metadata.end())
    throw std::runtime_error(path +
                             ": is not a detector that data/convert_weights.py made: metadata "
                             "\"detector\" is missing");
  JsonFields form = JsonFields::parse(found->second, path + ": metadata \"detector\"");
  form.require_object();
  return form;
}

}  // namespace

PixelBox InputForm::extent(int picture_width, int picture_height) const {
  if (fit == Fit::stretch) return {0, 0, width, height};
  const double scale = std::min(static_cast<double>(width) / picture_width,
                                static_cast<double>(height) / picture_height);
  PixelBox box{0, 0, std::max(1, static_cast<int>(std::lround(picture_width * scale))),
               std::max(1, static_cast<int>(std::lround(picture_height * scale)))};
  if (fit == Fit::centre) {
    box.x = (width - box.width) / 2;
    box.y = (height - box.height) / 2;
  }
  return box;
}

void fill_input(const InputForm& form, const ImageView& image, std::span<float> input) {
  if (image.empty()) throw std::invalid_argument("fill_input: an empty picture");
  if (input.size() != form.count())
    throw std::invalid_argument(
        fmt::format("fill_input: {} numbers for an input of {}", input.size(), form.count()));
  const PixelBox extent = form.extent(image.width, image.height);
  std::array<float, 3> offset;
  for (std::size_t c = 0; c < 3; ++c) offset[c] = -form.mean[c] * form.scale[c];
  const std::size_t pitch = static_cast<std::size_t>(form.width) * 3;
  if (extent.width < form.width || extent.height < form.height)
    for (std::size_t i = 0; i < input.size(); ++i) input[i] = offset[i % 3];
  Image small = resize_bilinear(image, extent.width, extent.height);
  if (small.channels == 1) small = to_rgb(small);
  for (int y = 0; y < extent.height; ++y)
    scale_samples({small.row(y), static_cast<std::size_t>(small.width) * 3}, form.scale, offset,
                  &input[(extent.y + y) * pitch + extent.x * std::size_t{3}]);
}

MetadataReader::MetadataReader(const nn::Safetensors& contents, const std::string& path)
    : path_(path), form_(parse_form(contents, path)) {}

void MetadataReader::fail(const std::string& what) const {
  throw std::runtime_error(path_ + ": " + what);
}

void MetadataReader::require_kind(const std::string& kind) const {
  if (form_["kind"].text() != kind)
    fail("does not find " + kind + ": its kind is " + form_["kind"].text());
}

InputForm MetadataReader::input() const {
  InputForm form;
  if (form_["order"].text() != "rgb") form_["order"].fail("is not \"rgb\"");
  const auto size = form_["input_size"].numbers(2);
  for (const double side : size)
    if (!(side >= 16 && side <= kLargestInput) || side != std::floor(side))
      form_["input_size"].fail("is out of range");
  form.width = static_cast<int>(size[0]);
  form.height = static_cast<int>(size[1]);
  const auto mean = form_["mean"].numbers(3), scale = form_["scale"].numbers(3);
  for (std::size_t c = 0; c < 3; ++c) {
    form.mean[c] = static_cast<float>(mean[c]);
    form.scale[c] = static_cast<float>(scale[c]);
  }
  form.fit = fit();
  return form;
}

Fit MetadataReader::fit() const {
  const std::string name = form_["resize"].text();
  if (name == "stretch") return Fit::stretch;
  if (name == "letterbox_top_left") return Fit::corner;
  if (name == "letterbox_center") return Fit::centre;
  form_["resize"].fail("is unknown: \"" + name + "\"");
}

}  // namespace maskwatch::vision
