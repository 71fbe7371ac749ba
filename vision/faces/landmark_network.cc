#include "vision/faces/landmark_network.h"

#include <fmt/format.h>

#include <stdexcept>

#include "nn/graph_file.h"
#include "vision/faces/network_metadata.h"

namespace maskwatch::vision {
namespace {

constexpr std::int64_t kNumbers = 136;

struct Form {
  InputForm input;
  std::string points;
};

Form read_form(const nn::Safetensors& contents, const std::string& path) {
  const MetadataReader reader(contents, path);
  reader.require_kind("landmarks");
  if (reader["coding"].text() != "xy_share") reader["coding"].fail("is not \"xy_share\"");
  if (reader["points"].number() != 68) reader["points"].fail("is not 68");
  return {reader.input(), reader["outputs"]["points"].text()};
}

Image part_of(const Image& image, const Box& box) {
  if (!is_sound(image))
    throw std::invalid_argument(fmt::format("LandmarkNetwork: a picture of {}x{}x{} with {} bytes",
                                            image.width, image.height, image.channels,
                                            image.pixels.size()));
  return crop(image, box);
}

}  // namespace

struct LandmarkNetwork::Network {
  InputForm form;
  nn::Plan plan;
  std::vector<float> input;

  Network(const nn::Safetensors& contents, const std::string& path, const Form& read)
      : form(read.input),
        plan(nn::compile_graph(contents, path, {form.height, form.width, 3}, {read.points})),
        input(form.count()) {
    const nn::ActivationShape& shape = plan.output_shape(0);
    if (shape.count() != kNumbers || shape.channels != kNumbers)
      throw std::runtime_error(fmt::format("{}: the network answers with {}x{}x{} numbers, not {}",
                                           path, shape.height, shape.width, shape.channels,
                                           kNumbers));
  }
};

LandmarkNetwork::LandmarkNetwork(const std::string& file)
    : LandmarkNetwork(nn::load_safetensors(file), file) {}
LandmarkNetwork::LandmarkNetwork(std::span<const std::byte> bytes, const std::string& name)
    : LandmarkNetwork(nn::load_safetensors(bytes, name), name) {}
LandmarkNetwork::LandmarkNetwork(const nn::Safetensors& contents, const std::string& name)
    : network_(std::make_unique<Network>(contents, name, read_form(contents, name))) {}
LandmarkNetwork::~LandmarkNetwork() = default;
LandmarkNetwork::LandmarkNetwork(LandmarkNetwork&&) noexcept = default;
LandmarkNetwork& LandmarkNetwork::operator=(LandmarkNetwork&&) noexcept = default;

int LandmarkNetwork::input_width() const { return network_->form.width; }
int LandmarkNetwork::input_height() const { return network_->form.height; }

std::span<const float> LandmarkNetwork::run(std::span<const float> input) {
  if (input.size() != network_->form.count())
    throw std::invalid_argument(fmt::format("LandmarkNetwork::run: {} numbers for an input of {}",
                                            input.size(), network_->form.count()));
  network_->plan.run(input.data(), 1);
  return {network_->plan.output(0), kNumbers};
}

std::vector<float> LandmarkNetwork::network_input(const Image& image, const Box& box) const {
  std::vector<float> input(network_->form.count());
  fill_input(network_->form, part_of(image, box), input);
  return input;
}

Landmarks LandmarkNetwork::predict(const Image& image, const Box& box) {
  const InputForm& form = network_->form;
  fill_input(form, part_of(image, box), network_->input);
  const PixelBox seen = clamp_box(image, box);
  const std::span<const float> shares = run(network_->input);
  const PixelBox extent = form.extent(seen.width, seen.height);
  const float x = static_cast<float>(seen.width) / static_cast<float>(extent.width);
  const float y = static_cast<float>(seen.height) / static_cast<float>(extent.height);
  Landmarks points;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const float across = shares[2 * i] * static_cast<float>(form.width);
    const float down = shares[2 * i + 1] * static_cast<float>(form.height);
    points[i] = {static_cast<float>(seen.x) + (across - static_cast<float>(extent.x)) * x,
                 static_cast<float>(seen.y) + (down - static_cast<float>(extent.y)) * y};
  }
  return points;
}

}  // namespace maskwatch::vision
