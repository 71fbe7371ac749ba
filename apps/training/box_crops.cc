#include "apps/training/box_crops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>

#include "apps/common/program.h"
#include "apps/training/picture_lists.h"
#include "base/file.h"
#include "base/parallel_try.h"
#include "base/per_thread.h"
#include "vision/image/codec.h"
#include "vision/image/geometry.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;
using vision::Image;

// Intersection over union with a face, at most, of what is no face.
constexpr float kMostOverlap = 0.2f;
// What a detector is surer of, in a picture with faces, may be one that nobody boxed.
constexpr float kMaybeAFace = 0.5f;

float short_side(const vision::Box& box) { return std::min(box.width, box.height); }

bool is_small(const FaceBox& face, int least_side) {
  return short_side(face.box) < static_cast<float>(least_side);
}

bool is_used(const FaceBox& face, int least_side) {
  return !face.ignored && face.label != kUnlabelled && !is_small(face, least_side);
}

BoxCrops count_left_out(const BoxDataset& data, int least_side) {
  BoxCrops counts;
  for (const BoxPicture& picture : data.pictures)
    for (const FaceBox& face : picture.faces) {
      if (face.ignored)
        ++counts.ignored;
      else if (face.label == kUnlabelled)
        ++counts.unlabelled;
      else if (is_small(face, least_side))
        ++counts.small;
    }
  return counts;
}

// What the crops of each picture are called, without _N.jpg.
std::vector<std::string> stems_of(const BoxDataset& data) {
  std::vector<std::string> stems;
  std::set<std::string> taken;
  for (const BoxPicture& picture : data.pictures) {
    std::string stem = fs::path(picture.name).replace_extension().string();
    std::replace(stem.begin(), stem.end(), '/', '_');
    if (stem.starts_with('.')) stem.front() = '_';  // hidden files are not read
    std::string name = stem;
    for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}~{}", stem, i);
    stems.push_back(std::move(name));
  }
  return stems;
}

void make_folders(const BoxDataset& data, const BoxCropOptions& options) {
  std::set<int> labels;
  for (const BoxPicture& picture : data.pictures)
    for (const FaceBox& face : picture.faces)
      if (is_used(face, options.least_side)) labels.insert(face.label);
  if (labels.empty())
    throw std::runtime_error(
        fmt::format("none of {} pictures has a face of a known class whose box has "
                    "sides of {} pixels",
                    data.pictures.size(), options.least_side));
  std::vector<std::string_view> classes;
  for (const int label : labels) classes.push_back(kFaceClasses[static_cast<std::size_t>(label)]);
  if (options.make_detector) classes.emplace_back(kBackgroundClass);
  for (const std::string_view name : classes) {
    const fs::path folder = fs::path(options.output) / name;
    std::error_code fault;
    fs::create_directories(folder, fault);
    if (fault)
      throw std::runtime_error(folder.string() + ": cannot create the folder: " + fault.message());
  }
}

Image cut_out(const Image& image, const vision::Box& box, const BoxCropOptions& options) {
  const vision::Box grown = vision::grow_box(box, options.margin);
  const vision::PixelBox inside = vision::clamp_box(image, grown);
  const int longest = std::max(inside.width, inside.height);
  if (longest <= options.size) return vision::crop(image, grown);
  const auto side = [&](int length) {
    return std::max(
        1, static_cast<int>(std::lround(static_cast<double>(length) * options.size / longest)));
  };
  return vision::crop_and_resize(image, grown, side(inside.width), side(inside.height));
}

void write_crop(const Image& image, const vision::Box& box, std::string_view folder,
                const std::string& name, const BoxCropOptions& options) {
  write_file_atomically(
      (fs::path(options.output) / folder / name).string(),
      vision::codec::encode_jpeg(cut_out(image, box, options), options.jpeg_quality));
}

// Writes the faces of one picture and counts them.
LabelCounts crop_picture(const BoxPicture& picture, const Image& image, const std::string& stem,
                         const BoxCropOptions& options) {
  LabelCounts written{};
  for (std::size_t i = 0; i < picture.faces.size(); ++i) {
    const FaceBox& face = picture.faces[i];
    if (!is_used(face, options.least_side)) continue;
    const auto label = static_cast<std::size_t>(face.label);
    write_crop(image, face.box, kFaceClasses[label], fmt::format("{}_{}.jpg", stem, i), options);
    ++written[label];
  }
  return written;
}

// Writes what the detector takes for faces apart from those of the picture; the number of files.
std::int64_t crop_background(const BoxPicture& picture, const Image& image, const std::string& stem,
                             vision::FaceDetector& detector, const BoxCropOptions& options) {
  std::int64_t written = 0;
  const std::vector<vision::Detection> found = detector.detect(image);
  for (std::size_t i = 0; i < found.size() && written < options.most_background; ++i) {
    if (short_side(found[i].box) < static_cast<float>(options.least_side) ||
        !is_background(found[i], picture))
      continue;
    write_crop(image, found[i].box, kBackgroundClass, fmt::format("{}_{}.jpg", stem, i), options);
    ++written;
  }
  return written;
}

}  // namespace

void choose_pictures(BoxDataset& data, const std::set<std::string>& names, bool keep,
                     const std::string& origin) {
  PictureNames(data.pictures, origin).require_all(names, origin);
  std::erase_if(data.pictures, [&](const BoxPicture& picture) {
    return names.contains(listed_name(picture.name)) != keep;
  });
  if (data.pictures.empty())
    throw UsageError(one_line(origin) + ": it names all of the data set's pictures");
}

bool is_background(const vision::Detection& found, const BoxPicture& picture) {
  if (picture.faces.empty()) return true;
  float smallest = std::numeric_limits<float>::infinity();
  for (const FaceBox& face : picture.faces) {
    if (vision::intersection_over_union(found.box, face.box) >= kMostOverlap) return false;
    smallest = std::min(smallest, short_side(face.box));
  }
  return found.score < kMaybeAFace && short_side(found.box) >= smallest;
}

BoxCrops crop_faces(const BoxDataset& data, const BoxCropOptions& options) {
  using Detector = std::unique_ptr<vision::FaceDetector>;
  std::optional<PerThread<Detector>> detectors;
  if (options.make_detector) detectors.emplace(options.make_detector);
  make_folders(data, options);
  const std::vector<std::string> stems = stems_of(data);
  BoxCrops result = count_left_out(data, options.least_side);
  std::vector<std::string> faults(data.pictures.size());
  std::mutex mutex;
  std::int64_t done = 0;
  parallel_try(data.pictures.size(), [&](std::size_t i) {
    const BoxPicture& picture = data.pictures[i];
    Image image;
    try {
      image = vision::load_image(picture.path);
    } catch (const std::runtime_error& fault) {
      faults[i] = fault.what();
    }
    const auto written =
        faults[i].empty() ? crop_picture(picture, image, stems[i], options) : LabelCounts{};
    std::int64_t background = 0;
    if (detectors && faults[i].empty() && !picture.without_boxes) {
      const auto detector = detectors->take();
      background = crop_background(picture, image, stems[i], **detector, options);
    }
    const std::lock_guard lock(mutex);
    for (std::size_t label = 0; label < written.size(); ++label)
      result.written[label] += written[label];
    result.background += background;
    ++done;
    if (options.progress) options.progress(done);
  });
  for (std::size_t i = 0; i < faults.size(); ++i)
    if (!faults[i].empty()) result.broken.push_back({data.pictures[i].path, faults[i]});
  return result;
}

}  // namespace maskwatch::apps
