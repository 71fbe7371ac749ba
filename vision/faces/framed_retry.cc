#include "vision/faces/framed_retry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "vision/image/resize.h"

namespace maskwatch::vision {
namespace {

// Of the picture within its frame: a face that fills it needs no more detail.
constexpr int kLongestSide = 200;
constexpr std::uint8_t kGrey = 127;

Image shrink(const ImageView& image) {
  const double scale =
      std::min(1.0, static_cast<double>(kLongestSide) / std::max(image.width, image.height));
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(std::lround(side * scale)));
  };
  return resize(image, scaled(image.width), scaled(image.height));
}

Image frame(const ImageView& image, int left, int top) {
  Image framed(image.width + 2 * left, image.height + 2 * top, image.channels);
  std::fill(framed.pixels.begin(), framed.pixels.end(), kGrey);
  for (int y = 0; y < image.height; ++y)
    std::copy_n(image.row(y), static_cast<std::size_t>(image.width) * image.channels,
                framed.at(left, top + y));
  return framed;
}

class FramedRetry : public FaceDetector {
 public:
  explicit FramedRetry(std::unique_ptr<FaceDetector> detector) : detector_(std::move(detector)) {}

  std::vector<Detection> detect(const ImageView& image) override {
    std::vector<Detection> faces = detector_->detect(image);
    return faces.empty() ? detect_framed(image) : faces;
  }
  std::string name() const override { return detector_->name(); }
  bool heeds_detail() const override { return detector_->heeds_detail(); }
  float margin() const override { return detector_->margin(); }

 private:
  std::vector<Detection> detect_framed(const ImageView& image) {
    const Image small = shrink(image);
    const int left = (small.width + 1) / 2, top = (small.height + 1) / 2;
    std::vector<Detection> faces = detector_->detect(frame(small, left, top));
    const float x = static_cast<float>(image.width) / static_cast<float>(small.width);
    const float y = static_cast<float>(image.height) / static_cast<float>(small.height);
    for (auto& [box, score] : faces)
      box = cut_off({(box.x - static_cast<float>(left)) * x, (box.y - static_cast<float>(top)) * y,
                     box.width * x, box.height * y},
                    image.width, image.height);
    std::erase_if(faces, [](const Detection& face) {
      return !(face.box.width >= 1 && face.box.height >= 1);
    });
    return faces;
  }

  std::unique_ptr<FaceDetector> detector_;
};

}  // namespace

std::unique_ptr<FaceDetector> retry_framed(std::unique_ptr<FaceDetector> detector) {
  return std::make_unique<FramedRetry>(std::move(detector));
}

}  // namespace maskwatch::vision
