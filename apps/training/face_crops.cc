#include "apps/training/face_crops.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "base/per_thread.h"
#include "vision/faces/face_detector.h"
#include "vision/image/image.h"

namespace maskwatch::apps {
namespace {

// The crop's pixels at `out`; false where no face was found or the image can no longer be read.
bool crop_face(const std::string& path, vision::FaceDetector& detector, int size,
               std::uint8_t* out) try {
  const vision::Image image = vision::load_image(path);
  const vision::LocatedFaces found = detector.locate(image);
  if (found.faces.empty()) return false;
  const vision::Image face = vision::face_crop(image, found.faces.front().box, found.margin, size);
  std::copy(face.pixels.begin(), face.pixels.end(), out);
  return true;
} catch (const std::runtime_error&) {
  return false;
}

}  // namespace

std::int64_t FaceCrops::count() const { return std::count(found.begin(), found.end(), true); }

FaceCrops find_face_crops(const LoadedDataset& data, const std::string& face,
                          const std::function<void(std::int64_t done)>& progress) {
  FaceCrops crops;
  crops.size = data.size;
  crops.pixels.resize(data.pixels.size());
  PerThread<std::unique_ptr<vision::FaceDetector>> detectors(
      [&] { return vision::make_face_detector(face); });
  std::vector<char> found(data.dataset.images.size());  // vector<bool> is not for several threads
  std::mutex mutex;
  std::int64_t done = 0;
  parallel_for(static_cast<std::int64_t>(found.size()), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    const auto detector = detectors.take();
    found[index] = crop_face(data.dataset.images[index].path, **detector, data.size,
                             crops.pixels.data() + index * data.image_bytes());
    const std::lock_guard lock(mutex);
    if (progress) progress(++done);
  });
  crops.found.assign(found.begin(), found.end());
  return crops;
}

}  // namespace maskwatch::apps
