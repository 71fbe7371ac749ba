#include "vision/faces/ssd.h"

#include "nn/ssd.h"
#include "vision/faces/published_ssd.h"
#include "vision/faces/trained_ssd.h"

namespace maskwatch::vision {

SsdDetector::SsdDetector(const std::string& file, kernels::Device& device)
    : SsdDetector(nn::load_safetensors(file), file, device) {}
SsdDetector::SsdDetector(std::span<const std::byte> bytes, const std::string& name,
                         kernels::Device& device)
    : SsdDetector(nn::load_safetensors(bytes, name), name, device) {}
SsdDetector::SsdDetector(const nn::Safetensors& contents, const std::string& name,
                         kernels::Device& device) {
  if (nn::is_ssd(contents))
    trained_ = std::make_unique<TrainedSsd>(contents, name, device);
  else
    published_ = std::make_unique<PublishedSsd>(contents, name, device);
}
SsdDetector::~SsdDetector() = default;
SsdDetector::SsdDetector(SsdDetector&&) noexcept = default;
SsdDetector& SsdDetector::operator=(SsdDetector&&) noexcept = default;

const std::vector<std::string>& SsdDetector::labels() const {
  static const std::vector<std::string> none;
  return trained_ ? trained_->labels() : none;
}

std::vector<Detection> SsdDetector::detect(const ImageView& image, const SsdOptions& options) {
  if (published_) return published_->detect(image, options);
  std::vector<Detection> faces;
  for (const LabelledFace& found : trained_->detect(image, options)) faces.push_back(found.face);
  return faces;
}

std::vector<LabelledFace> SsdDetector::detect_labelled(const ImageView& image,
                                                       const SsdOptions& options) {
  if (trained_) return trained_->detect(image, options);
  std::vector<LabelledFace> faces;
  for (const Detection& face : published_->detect(image, options)) faces.push_back({face, {}});
  return faces;
}

std::vector<std::vector<LabelledFace>> SsdDetector::detect_all(std::span<const ImageView> images,
                                                               const SsdOptions& options) {
  if (trained_) return trained_->detect_all(images, options);
  std::vector<std::vector<LabelledFace>> faces;
  for (const ImageView& image : images) faces.push_back(detect_labelled(image, options));
  return faces;
}

}  // namespace maskwatch::vision
