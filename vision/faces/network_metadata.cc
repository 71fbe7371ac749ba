#include "vision/faces/network_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "vision/image/bilinear.h"
#include "vision/image/network_input.h"

namespace maskwatch::vision {
namespace {

using nlohmann::json;

constexpr int kLargestInput = 2048;

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

void fill_input(const InputForm& form, const Image& image, std::span<float> input) {
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
    : path_(path) {
  const auto found = contents.metadata.find("detector");
  if (found == contents.metadata.end())
    fail("no detector that data/convert_weights.py made: metadata detector is missing");
  form_ = json::parse(found->second, nullptr, false);
  if (!form_.is_object()) fail("metadata detector is not an object");
}

void MetadataReader::fail(const std::string& what) const {
  throw std::runtime_error(path_ + ": " + what);
}

void MetadataReader::require_kind(const std::string& kind) const {
  if (text("kind") != kind) fail("finds no " + kind + ": kind is " + text("kind"));
}

const json& MetadataReader::part(const json& object, const std::string& key) const {
  if (!object.is_object() || !object.contains(key))
    fail("metadata detector: " + key + " is missing");
  return object[key];
}

std::string MetadataReader::text(const json& object, const std::string& key) const {
  const json& value = part(object, key);
  if (!value.is_string()) fail("metadata detector: " + key + " is not a string");
  return value.get<std::string>();
}

std::vector<double> MetadataReader::numbers(const std::string& key, std::size_t count) const {
  const json& list = part(key);
  std::vector<double> numbers;
  if (list.is_array())
    for (const json& value : list)
      if (value.is_number()) numbers.push_back(value.get<double>());
  if (numbers.size() != count || list.size() != count)
    fail(fmt::format("metadata detector: {} is not a list of {} numbers", key, count));
  return numbers;
}

int MetadataReader::number(const std::string& key) const {
  const json& value = part(key);
  if (!value.is_number_integer()) fail(key + " is not a whole number");
  return static_cast<int>(std::clamp<std::int64_t>(value, -1, 1 << 20));
}

InputForm MetadataReader::input() const {
  InputForm form;
  if (text("order") != "rgb") fail("order " + text("order") + " is unknown");
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
  return form;
}

Fit MetadataReader::fit() const {
  const std::string name = text("resize");
  if (name == "stretch") return Fit::stretch;
  if (name == "letterbox_top_left") return Fit::corner;
  if (name == "letterbox_center") return Fit::centre;
  fail("metadata detector: resize " + name + " is unknown");
}

}  // namespace maskwatch::vision
