#include "apps/training/box_crops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/parallel_try.h"
#include "vision/image/codec.h"
#include "vision/image/geometry.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;
using vision::Image;

bool is_small(const FaceBox& face, int least_side) {
  return std::min(face.box.width, face.box.height) < static_cast<float>(least_side);
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
    throw UsageError(
        fmt::format("none of {} pictures has a face of a known class whose box has "
                    "sides of {} pixels",
                    data.pictures.size(), options.least_side));
  for (const int label : labels) {
    const fs::path folder =
        fs::path(options.output) / kFaceClasses[static_cast<std::size_t>(label)];
    std::error_code fault;
    fs::create_directories(folder, fault);
    if (fault) throw std::runtime_error(folder.string() + ": cannot be made: " + fault.message());
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

// Writes the faces of one picture and counts them.
LabelCounts crop_picture(const BoxPicture& picture, const Image& image, const std::string& stem,
                         const BoxCropOptions& options) {
  LabelCounts written{};
  for (std::size_t i = 0; i < picture.faces.size(); ++i) {
    const FaceBox& face = picture.faces[i];
    if (!is_used(face, options.least_side)) continue;
    const auto label = static_cast<std::size_t>(face.label);
    const fs::path path =
        fs::path(options.output) / kFaceClasses[label] / fmt::format("{}_{}.jpg", stem, i);
    write_file_atomically(
        path.string(),
        vision::codec::encode_jpeg(cut_out(image, face.box, options), options.jpeg_quality));
    ++written[label];
  }
  return written;
}

// The first few names, on one line.
std::string first_of(const std::set<std::string>& names) {
  constexpr std::size_t kMost = 3;
  std::string text;
  std::size_t count = 0;
  for (const std::string& name : names) {
    if (count == kMost) return text + ", ...";
    text += (count++ > 0 ? ", " : "") + one_line(name);
  }
  return text;
}

}  // namespace

void choose_pictures(BoxDataset& data, const std::set<std::string>& names, bool keep,
                     const std::string& origin) {
  std::set<std::string> missing = names;
  for (const BoxPicture& picture : data.pictures) missing.erase(picture.name);
  if (!missing.empty())
    throw UsageError(fmt::format("{}: {} of {} pictures that it names are not in the data set: {}",
                                 origin, missing.size(), names.size(), first_of(missing)));
  std::erase_if(data.pictures,
                [&](const BoxPicture& picture) { return names.contains(picture.name) != keep; });
  if (data.pictures.empty())
    throw UsageError(
        fmt::format("{}: it names {} of the data set's pictures", origin, keep ? "none" : "all"));
}

BoxCrops crop_faces(const BoxDataset& data, const BoxCropOptions& options) {
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
    const std::lock_guard lock(mutex);
    for (std::size_t label = 0; label < written.size(); ++label)
      result.written[label] += written[label];
    ++done;
    if (options.progress) options.progress(done);
  });
  for (std::size_t i = 0; i < faults.size(); ++i)
    if (!faults[i].empty()) result.broken.push_back({data.pictures[i].path, faults[i]});
  return result;
}

}  // namespace maskwatch::apps
