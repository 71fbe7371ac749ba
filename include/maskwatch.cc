#include "include/maskwatch.h"

#include <algorithm>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/version.h"  // made by meson
#include "kernels/device.h"
#include "vision/masks/mask_detector.h"

struct maskwatch_detector {
  maskwatch::MaskDetector detector;
  std::vector<maskwatch::Face> found;
  std::vector<maskwatch_face> faces;  // point into `found`
};

namespace {

thread_local std::string last_error;

maskwatch_status fail(maskwatch_status status, const char* why) noexcept {
  try {
    last_error = why;
  } catch (...) {
    last_error.clear();
  }
  return status;
}

// Runs `body`; an exception becomes a status and a text.
template <typename Body>
maskwatch_status guarded(const Body& body) noexcept {
  try {
    body();
    return MASKWATCH_OK;
  } catch (const std::invalid_argument& fault) {
    return fail(MASKWATCH_BAD_ARGUMENT, fault.what());
  } catch (const std::bad_alloc&) {
    return fail(MASKWATCH_FAILED, "out of memory");
  } catch (const std::runtime_error& fault) {
    return fail(MASKWATCH_BAD_FILE, fault.what());
  } catch (const std::exception& fault) {
    return fail(MASKWATCH_FAILED, fault.what());
  } catch (...) {
    return fail(MASKWATCH_FAILED, "unknown error");
  }
}

std::span<const std::uint8_t> bytes_at(const void* bytes, std::size_t size, const char* name) {
  if (bytes == nullptr) return {};
  if (size == 0)
    throw std::invalid_argument(std::string("maskwatch_open: ") + name + " of 0 bytes");
  return {static_cast<const std::uint8_t*>(bytes), size};
}

maskwatch::MaskDetectorOptions options_of(const maskwatch_options& given) {
  maskwatch::MaskDetectorOptions options;
  if (given.model != nullptr) options.model = given.model;
  if (given.face_detector != nullptr) options.face_detector = given.face_detector;
  options.model_bytes = bytes_at(given.model_bytes, given.model_size, "a model");
  options.face_detector_bytes =
      bytes_at(given.face_detector_bytes, given.face_detector_size, "a face detector");
  options.confidence = given.confidence;
  options.threads = given.threads;
  if (given.device != nullptr) options.device = &maskwatch::kernels::device_named(given.device);
  return options;
}

maskwatch_meaning meaning_for_c(maskwatch::LabelMeaning meaning) {
  switch (meaning) {
    case maskwatch::LabelMeaning::mask:
      return MASKWATCH_MASK;
    case maskwatch::LabelMeaning::no_mask:
      return MASKWATCH_NO_MASK;
    case maskwatch::LabelMeaning::worn_wrongly:
      return MASKWATCH_WORN_WRONGLY;
    case maskwatch::LabelMeaning::other:
    case maskwatch::LabelMeaning::background:
      break;
  }
  return MASKWATCH_OTHER;
}

void keep(maskwatch_detector& owner, std::vector<maskwatch::Face> found) {
  std::vector<maskwatch_face> faces;
  for (const maskwatch::Face& face : found)
    faces.push_back({face.box.x, face.box.y, face.box.width, face.box.height, face.score,
                     face.label_index, meaning_for_c(face.meaning), face.probability,
                     owner.detector.labels()[static_cast<std::size_t>(face.label_index)].c_str(),
                     face.probabilities.data()});
  owner.found = std::move(found);
  owner.faces = std::move(faces);
}

void require(bool there, const char* what) {
  if (!there) throw std::invalid_argument(what);
}

template <typename Detect>
maskwatch_status detect(maskwatch_detector* detector, const maskwatch_face** faces,
                        std::size_t* count, const Detect& body) {
  return guarded([&] {
    require(detector != nullptr && faces != nullptr && count != nullptr,
            "maskwatch_detect: the detector, faces or count is a null pointer");
    keep(*detector, body());
    *faces = detector->faces.data();
    *count = detector->faces.size();
  });
}

maskwatch::ImageView view_of(const std::uint8_t* pixels, int width, int height,
                             std::size_t stride) {
  require(pixels != nullptr, "maskwatch_detect_rgb: the pixels are a null pointer");
  require(width > 0 && height > 0, "maskwatch_detect_rgb: an empty image");
  require(stride / 3 >= static_cast<std::size_t>(width),
          "maskwatch_detect_rgb: the stride is shorter than a row");
  return {pixels, width, height, 3, stride};
}

}  // namespace

const char* maskwatch_version(void) { return maskwatch::kVersion; }

const char* maskwatch_error(void) { return last_error.c_str(); }

maskwatch_options maskwatch_default_options(void) {
  maskwatch_options options = {};
  options.confidence = maskwatch::MaskDetectorOptions().confidence;
  return options;
}

maskwatch_detector* maskwatch_open(const maskwatch_options* options) {
  maskwatch_detector* opened = nullptr;
  guarded([&] {
    const maskwatch_options given = options != nullptr ? *options : maskwatch_default_options();
    opened = new maskwatch_detector{maskwatch::MaskDetector(options_of(given)), {}, {}};
  });
  return opened;
}

const char* maskwatch_device(const maskwatch_detector* detector) {
  return detector != nullptr ? detector->detector.device_name().c_str() : "";
}

void maskwatch_close(maskwatch_detector* detector) { delete detector; }

std::size_t maskwatch_label_count(const maskwatch_detector* detector) {
  return detector != nullptr ? detector->detector.labels().size() : 0;
}

const char* maskwatch_label(const maskwatch_detector* detector, std::size_t index) {
  if (index >= maskwatch_label_count(detector)) return nullptr;
  return detector->detector.labels()[index].c_str();
}

maskwatch_status maskwatch_detect_rgb(maskwatch_detector* detector, const std::uint8_t* pixels,
                                      int width, int height, std::size_t stride,
                                      const maskwatch_face** faces, std::size_t* count) {
  return detect(detector, faces, count,
                [&] { return detector->detector.detect(view_of(pixels, width, height, stride)); });
}

maskwatch_status maskwatch_detect_file(maskwatch_detector* detector, const void* bytes,
                                       std::size_t size, const maskwatch_face** faces,
                                       std::size_t* count) {
  return detect(detector, faces, count, [&] {
    require(bytes != nullptr, "maskwatch_detect_file: the bytes are a null pointer");
    return detector->detector.detect_encoded({static_cast<const std::uint8_t*>(bytes), size});
  });
}
