#include "apps/training/face_crops.h"

#include <algorithm>
#include <cstring>

#include "apps/common/share.h"
#include "base/per_thread.h"
#include "vision/faces/face_detector.h"
#include "vision/image/image.h"

namespace maskwatch::apps {
namespace {

// The crop's pixels; nothing where no face was found or the image can no longer be read.
std::string crop_face(const std::string& path, vision::FaceDetector& detector, int size) try {
  const vision::Image image = vision::load_image(path);
  const vision::LocatedFaces found = detector.locate(image);
  if (found.faces.empty()) return "";
  const vision::Image face = vision::face_crop(image, found.faces.front().box, found.margin, size);
  return {face.pixels.begin(), face.pixels.end()};
} catch (const std::runtime_error&) {
  return "";
}

}  // namespace

std::int64_t FaceCrops::count() const { return std::count(found.begin(), found.end(), true); }

FaceCrops find_face_crops(const LoadedDataset& data, const std::string& face,
                          kernels::Communicator& communicator,
                          const std::function<void(std::int64_t done)>& progress) {
  constexpr std::size_t kImagesARank = 256;  // at a time, lest their crops take memory twice
  const std::size_t count = data.dataset.images.size();
  const std::size_t round = kImagesARank * static_cast<std::size_t>(communicator.ranks());
  FaceCrops crops;
  crops.size = data.size;
  crops.found.resize(count);
  crops.pixels.resize(data.pixels.size());
  PerThread<std::unique_ptr<vision::FaceDetector>> detectors(
      [&] { return vision::make_face_detector(face); });
  for (std::size_t begin = 0; begin < count; begin += round) {
    const std::vector<std::string> found = share_out_on_threads(
        communicator, std::min(round, count - begin),
        [&](std::size_t i) {
          const auto detector = detectors.take();
          return crop_face(data.dataset.images[begin + i].path, **detector, data.size);
        },
        [&](std::size_t done) {
          if (progress) progress(static_cast<std::int64_t>(begin + done));
        });
    for (std::size_t i = 0; i < found.size(); ++i) {
      crops.found[begin + i] = !found[i].empty();
      std::memcpy(crops.pixels.data() + (begin + i) * data.image_bytes(), found[i].data(),
                  found[i].size());
    }
  }
  return crops;
}

}  // namespace maskwatch::apps
