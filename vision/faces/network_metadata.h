// What a converted network says of itself in metadata "detector" (data/README.md): how a picture
// becomes its input, and what its outputs mean. For published_ssd.h and landmark_network.h.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/json_fields.h"
#include "nn/safetensors.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// How a picture gets the input's size: stretched, or with its proportions kept and black added at
// the right or below (corner), or around (centre).
enum class Fit { stretch, corner, centre };

struct InputForm {
  int width = 0;
  int height = 0;
  std::array<float, 3> mean{};  // the input is (pixel - mean) * scale, red first
  std::array<float, 3> scale{};
  Fit fit = Fit::stretch;

  std::size_t count() const { return static_cast<std::size_t>(width) * height * 3; }
  // Where in the input a picture of this size lies.
  PixelBox extent(int picture_width, int picture_height) const;
};

// Writes the input for a grey or RGB picture, [height, width, 3]. Throws std::invalid_argument for
// an empty picture and a span of another size.
void fill_input(const InputForm& form, const ImageView& image, std::span<float> input);

// Reads the metadata of one file. std::runtime_error names the file and what is wrong with it.
class MetadataReader {
 public:
  MetadataReader(const nn::Safetensors& contents, const std::string& path);

  // Throws unless the file's kind is `kind` ("boxes", "landmarks").
  void require_kind(const std::string& kind) const;
  InputForm input() const;

  // A part of the metadata ("outputs").
  JsonFields operator[](const std::string& key) const { return form_[key]; }

  [[noreturn]] void fail(const std::string& what) const;

 private:
  Fit fit() const;

  const std::string path_;
  const JsonFields form_;
};

}  // namespace maskwatch::vision
