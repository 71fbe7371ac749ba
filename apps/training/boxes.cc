#include "apps/training/boxes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>

#include "apps/common/program.h"
#include "apps/training/boxes_counted.h"
#include "apps/training/boxes_files.h"
#include "apps/training/boxes_format.h"
#include "apps/training/boxes_json.h"
#include "apps/training/boxes_names.h"
#include "apps/training/boxes_voc.h"
#include "apps/training/boxes_yolo.h"
#include "base/file.h"
#include "base/parallel.h"
#include "vision/image/picture_kinds.h"

namespace maskwatch::apps {
namespace {

namespace fs = std::filesystem;
using vision::Box;

constexpr const char* kFormatsHint =
    " (a data set is a folder of pictures with Pascal VOC (.xml), YOLO (.txt), COCO or boxes.json "
    "files, or one such file)";

// A picture and what an annotation says of it, before either was checked.
struct Found {
  BoxPicture picture;
  WrittenPicture written;
  std::string annotation;     // path of the file; empty: a negative
  std::string given_by = {};  // the option: "--negatives DIR"
};

// Gathers what one data set says.
class Gatherer {
 public:
  Gatherer(const std::string& root, std::string source, BoxDataset& data, std::vector<Found>& found)
      : files_(root), source_(std::move(source)), data_(data), found_(found) {
    for (const SkippedFile& file : files_.skipped()) data_.skipped.push_back(file);
  }

  void read_folder() {
    read_names();
    for (const std::string& file : files_.others()) {
      if (ClassNames::is_names_file(file)) continue;
      try {
        if (!read_annotation(file)) skip(file, "neither a picture nor an annotation");
      } catch (const UsageError&) {
        throw;
      } catch (const std::runtime_error& error) {
        skip_annotation(file, error.what());
      }
    }
    for (const std::string& picture : files_.pictures())
      if (!claimed_.contains(picture)) skip(picture, "a picture without annotation");
  }

  // One file alone; pictures that it does not name are not looked at.
  void read_file_alone(const std::string& relative) {
    read_names();
    try {
      if (!read_annotation(relative)) throw FormatError("holds no boxes");
    } catch (const FormatError& error) {
      throw std::runtime_error(files_.path_of(relative) + ": " + error.what() + kFormatsHint);
    }
  }

  void read_negatives() {
    for (const std::string& picture : files_.pictures()) claim("", picture, {});
  }

  void read_without_boxes(const ClassMap& classes) {
    for (const std::string& picture : files_.pictures()) {
      claim("", picture, {});
      BoxPicture& claimed = found_.back().picture;
      claimed.without_boxes = true;
      claimed.class_of_faces = class_of_folders(fs::path(source_) / folder_of(picture), classes);
    }
  }

  std::size_t pictures_seen() const { return files_.pictures().size(); }
  std::size_t annotated() const { return claimed_.size(); }

  // Why nothing is annotated.
  std::string fault() const {
    if (files_.pictures().empty())
      return fmt::format("holds no pictures ({})", vision::kPictureExtensions);
    std::string text = "none of its pictures has an annotation";
    if (!faults_.empty()) text += "; " + faults_.front();
    if (faults_.size() > 1) text += fmt::format("; and {} more like it", faults_.size() - 1);
    return text;
  }

 private:
  void skip(const std::string& relative, const std::string& reason) {
    data_.skipped.push_back({files_.path_of(relative), reason});
  }

  void skip_annotation(const std::string& relative, const std::string& reason) {
    skip(relative, reason);
    faults_.push_back(fmt::format("{}: {}", relative, reason));
  }

  static int class_of_folders(const fs::path& folder, const ClassMap& classes) {
    std::vector<std::string> names;
    for (const fs::path& part : folder) names.push_back(part.string());
    for (auto name = names.rbegin(); name != names.rend(); ++name)
      if (const auto meaning = classes.meaning(*name);
          meaning && meaning->kind == ClassMeaning::Kind::face)
        return meaning->label;
    return kUnlabelled;
  }

  void read_names() {
    for (const std::string& file : files_.others()) {
      if (!ClassNames::is_names_file(file)) continue;
      try {
        const std::string path = files_.path_of(file);
        names_.add(file, path, read_file(path));
      } catch (const std::runtime_error& error) {
        skip(file, error.what());
      }
    }
  }

  // False for a file that is not an annotation at all.
  bool read_annotation(const std::string& file) {
    const std::string extension = vision::lower_case_extension(file);
    if (extension != ".xml" && extension != ".json" && extension != ".txt") return false;
    const std::string text = read_file(files_.path_of(file));
    if (text.empty() && extension != ".txt") throw FormatError("an empty file");
    if (extension == ".json") {
      add_pixels(file, parse_json_boxes(text));
    } else if (extension == ".xml") {
      WrittenPicture written = parse_voc(text);
      // The picture beside the file counts more than what <filename> says: people rename both.
      const auto beside = files_.picture_beside(file);
      if (beside)
        written.file = *beside;
      else if (written.file.empty() || !files_.find_picture(file, written.file))
        written.file = stem_of(file);
      add_pixels(file, {std::move(written)});
    } else if (is_counted(text)) {
      add_pixels(file, parse_counted(text));
    } else {
      if (!text.empty() && !is_yolo(text) && !files_.find_picture(file, stem_of(file)))
        return false;
      WrittenPicture written = parse_yolo(text, names_.names_for(file));
      written.file = stem_of(file);
      add_all(file, {std::move(written)});
    }
    return true;
  }

  void add_pixels(const std::string& file, std::vector<WrittenPicture> pictures) {
    std::vector<Box> boxes;
    for (const WrittenPicture& picture : pictures)
      for (const WrittenBox& written : picture.boxes) boxes.push_back(written.box);
    if (look_like_shares(boxes))
      throw FormatError("its boxes are shares of the picture's sides, not pixels");
    add_all(file, std::move(pictures));
  }

  void add_all(const std::string& file, std::vector<WrittenPicture> pictures) {
    data_.annotations.push_back(files_.path_of(file));
    for (WrittenPicture& written : pictures) {
      const auto picture = files_.find_picture(file, written.file);
      if (picture)
        claim(file, *picture, std::move(written));
      else
        skip_annotation(file, fmt::format("an annotation without picture: {}", written.file));
    }
  }

  void claim(const std::string& file, const std::string& picture, WrittenPicture written) {
    const auto [claim, first] = claimed_.emplace(picture, file);
    if (!first)
      return skip(file, fmt::format("{} is annotated already by {}", picture, claim->second));
    Found found;
    found.picture.path = files_.path_of(picture);
    found.picture.name = picture;
    found.picture.source = written.source.empty() ? source_ : written.source;
    found.annotation = file.empty() ? "" : files_.path_of(file);
    found.written = std::move(written);
    found_.push_back(std::move(found));
  }

  BoxFiles files_;
  std::string source_;
  BoxDataset& data_;
  std::vector<Found>& found_;
  ClassNames names_;
  std::map<std::string, std::string> claimed_;  // picture to annotation
  std::vector<std::string> faults_;             // of annotations: "boxes.json: an empty file"
};

// Class names without a meaning: how often and where first.
using UnknownClasses = std::map<std::string, std::pair<std::int64_t, std::string>>;

std::string size_text(int width, int height) { return fmt::format("{}x{}", width, height); }

// The factor from the annotation's pixels to the picture's; 0 where no factor explains the sizes.
double scale_of(const Found& found) {
  const WrittenPicture& written = found.written;
  if (written.in_shares || written.width == 0 || written.height == 0) return 1;
  const double x = static_cast<double>(found.picture.width) / written.width;
  const double y = static_cast<double>(found.picture.height) / written.height;
  const double rounding = 1.0 / written.width + 1.0 / written.height;
  return std::abs(x - y) <= (rounding + 0.005) * std::max(x, y) ? x : 0;
}

// Checks the boxes of one picture.
class BoxCheck {
 public:
  BoxCheck(Found& found, const ClassMap& classes, BoxDataset& data, UnknownClasses& unknown)
      : found_(found), classes_(classes), data_(data), unknown_(unknown) {}

  void run(double scale) {
    for (const std::string& fault : found_.written.faults) drop(fault);
    const bool shares = found_.written.in_shares;
    const double x_scale = shares ? found_.picture.width : scale;
    const double y_scale = shares ? found_.picture.height : scale;
    for (const WrittenBox& written : found_.written.boxes) {
      const Box box{static_cast<float>(written.box.x * x_scale),
                    static_cast<float>(written.box.y * y_scale),
                    static_cast<float>(written.box.width * x_scale),
                    static_cast<float>(written.box.height * y_scale)};
      add(written, box);
    }
  }

 private:
  void drop(const std::string& reason) {
    data_.dropped_boxes.push_back({found_.annotation, found_.picture.name + ": " + reason});
  }

  void add(const WrittenBox& written, const Box& box) {
    ClassMeaning meaning{ClassMeaning::Kind::face, kUnlabelled};
    if (!written.class_name.empty()) {
      const auto known = classes_.meaning(written.class_name);
      if (!known) {
        auto& [count, where] = unknown_[written.class_name];
        if (count++ == 0) where = found_.annotation;
        return;
      }
      meaning = *known;
    }
    if (meaning.kind == ClassMeaning::Kind::other) return;
    const std::string text = fmt::format("the box at ({:.4g}, {:.4g}) of {:.4g} x {:.4g} ", box.x,
                                         box.y, box.width, box.height);
    if (!(box.width > 0 && box.height > 0)) return drop(text + "is empty");
    const float left = std::max(box.x, 0.f), top = std::max(box.y, 0.f);
    const float right = std::min(box.x + box.width, static_cast<float>(found_.picture.width));
    const float bottom = std::min(box.y + box.height, static_cast<float>(found_.picture.height));
    if (!(right > left && bottom > top)) return drop(text + "lies outside the picture");
    const bool ignored = written.ignored || meaning.kind == ClassMeaning::Kind::ignored;
    const bool cut = right - left < box.width - 1 || bottom - top < box.height - 1;
    data_.cut_boxes += cut ? 1 : 0;
    found_.picture.faces.push_back(
        {{left, top, right - left, bottom - top}, ignored ? kUnlabelled : meaning.label, ignored});
  }

  Found& found_;
  const ClassMap& classes_;
  BoxDataset& data_;
  UnknownClasses& unknown_;
};

// Reads the sizes of all pictures; says of each that cannot be read why.
std::vector<std::string> measure(std::vector<Found>& found) {
  std::vector<std::string> faults(found.size());
  parallel_for(static_cast<std::int64_t>(found.size()), [&](std::int64_t i) {
    const auto index = static_cast<std::size_t>(i);
    BoxPicture& picture = found[index].picture;
    try {
      const vision::ImageSize size = vision::image_file_size(picture.path);
      picture.width = size.width;
      picture.height = size.height;
    } catch (const std::exception& error) {
      faults[index] = error.what();
    }
  });
  return faults;
}

// The first file of class names that could not be read; it may be why classes are numbers.
std::string fault_of_names(const BoxDataset& data) {
  for (const SkippedFile& file : data.skipped)
    if (ClassNames::is_names_file(file.path))
      return fmt::format("; {}: {}", one_line(file.path), file.reason);
  return "";
}

void require_meanings(const UnknownClasses& unknown, const BoxDataset& data) {
  if (unknown.empty()) return;
  std::string text;
  for (const auto& [name, where] : unknown)
    text += fmt::format("{}'{}' ({} boxes, first in {})", text.empty() ? "" : ", ", one_line(name),
                        where.first, one_line(where.second));
  const std::string& name = unknown.begin()->first;
  throw std::runtime_error(fmt::format(
      "class{0} without a meaning: {1}{3} (say it with --classes, for example no_mask={2}, "
      "ignore={2} or "
      "other={2})",
      unknown.size() == 1 ? "" : "es", text, one_line(name), fault_of_names(data)));
}

void check_all(std::vector<Found> found, const ClassMap& classes, BoxDataset& data) {
  const std::vector<std::string> faults = measure(found);
  UnknownClasses unknown;
  for (std::size_t i = 0; i < found.size(); ++i) {
    BoxPicture& picture = found[i].picture;
    if (!faults[i].empty()) {
      data.skipped.push_back({picture.path, faults[i]});
      continue;
    }
    const double scale = scale_of(found[i]);
    if (scale == 0) {
      data.skipped.push_back(
          {picture.path, fmt::format("is {} where its annotation says {}",
                                     size_text(picture.width, picture.height),
                                     size_text(found[i].written.width, found[i].written.height))});
      continue;
    }
    data.rescaled_pictures += scale != 1 ? 1 : 0;
    BoxCheck(found[i], classes, data, unknown).run(scale);
    data.pictures.push_back(std::move(picture));
  }
  require_meanings(unknown, data);
}

std::vector<std::string> idle_rules(const ClassMap& classes, const std::vector<Found>& found) {
  std::set<std::string> idle = classes.names();
  for (const Found& each : found)
    for (const WrittenBox& box : each.written.boxes) idle.erase(box.class_name);
  return {idle.begin(), idle.end()};
}

std::string last_name(const fs::path& folder) {
  std::error_code unknown;
  const fs::path real = fs::canonical(folder, unknown);
  return (unknown ? folder : real).filename().string();
}

// Where the pictures of an annotation file may lie: beside it, or beside the folder that holds it.
fs::path root_of_file(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const std::string name = last_name(folder);
  const bool apart = name == "annotations" || name == "Annotations" || name == "labels";
  return apart ? folder / ".." : folder;
}

void read_dataset(const std::string& dataset, BoxDataset& data, std::vector<Found>& found) {
  std::error_code unknown;
  const fs::file_status status = fs::status(dataset, unknown);
  if (!fs::exists(status))
    throw std::runtime_error(dataset + ": no such folder or file" + kFormatsHint);
  const bool is_file = fs::is_regular_file(status);
  const bool yaml = is_file && vision::lower_case_extension(dataset).starts_with(".y");
  if (is_file && !yaml) {
    const fs::path root = root_of_file(dataset);
    Gatherer gatherer(root.string(), last_name(root), data, found);
    gatherer.read_file_alone(
        fs::relative(fs::canonical(dataset), fs::canonical(root)).generic_string());
    if (gatherer.annotated() == 0)
      throw std::runtime_error(dataset + ": none of the pictures that it names is there" +
                               kFormatsHint);
    return;
  }
  const fs::path root = yaml ? root_of_file(dataset) : fs::path(dataset);
  Gatherer gatherer(root.string(), last_name(root), data, found);
  gatherer.read_folder();
  if (gatherer.annotated() > 0) return;
  throw std::runtime_error(dataset + ": " + gatherer.fault() + kFormatsHint);
}

void sort_by_path(std::vector<SkippedFile>& files) {
  std::stable_sort(files.begin(), files.end(),
                   [](const SkippedFile& a, const SkippedFile& b) { return a.path < b.path; });
}

void require_different(const std::vector<std::string>& paths) {
  std::set<fs::path> seen;
  for (const std::string& path : paths) {
    std::error_code unknown;
    const fs::path real = fs::canonical(path, unknown);
    if (!unknown && !seen.insert(real).second)
      throw std::runtime_error(path + ": the data set is given twice");
  }
}

void require_given_once(const std::vector<Found>& found) {
  std::map<fs::path, const std::string*> given;
  for (const Found& each : found) {
    std::error_code unknown;
    const fs::path real = fs::canonical(each.picture.path, unknown);
    if (unknown) continue;
    const auto [before, first] = given.emplace(real, &each.given_by);
    if (!first && *before->second != each.given_by)
      throw std::runtime_error(fmt::format("{}: the picture is given twice, by {} and by {}",
                                           each.picture.path, *before->second, each.given_by));
  }
}

}  // namespace

BoxDataset read_boxes(const std::vector<std::string>& datasets, const BoxOptions& options) {
  if (datasets.empty()) throw std::runtime_error(std::string("no data set given") + kFormatsHint);
  std::vector<std::string> all = datasets;
  for (const auto* folders : {&options.negatives, &options.without_boxes})
    all.insert(all.end(), folders->begin(), folders->end());
  require_different(all);
  BoxDataset data;
  std::vector<Found> found;
  const auto name_giver = [&](const std::string& option) {
    for (auto i = found.rbegin(); i != found.rend() && i->given_by.empty(); ++i)
      i->given_by = option;
  };
  for (const std::string& dataset : datasets) {
    read_dataset(dataset, data, found);
    name_giver("-d " + dataset);
  }
  const auto read_pictures = [&](const std::string& option, const std::string& folder,
                                 const auto& read) {
    Gatherer gatherer(folder, last_name(folder), data, found);
    if (gatherer.pictures_seen() == 0)
      throw std::runtime_error(
          fmt::format("{}: holds no pictures ({})", folder, vision::kPictureExtensions));
    read(gatherer);
    name_giver(option + " " + folder);
  };
  for (const std::string& folder : options.negatives)
    read_pictures("--negatives", folder, [](Gatherer& gatherer) { gatherer.read_negatives(); });
  for (const std::string& folder : options.without_boxes)
    read_pictures("--without-boxes", folder,
                  [&](Gatherer& gatherer) { gatherer.read_without_boxes(options.classes); });
  require_given_once(found);
  const auto place = [](const BoxPicture& picture) {
    return std::tie(picture.without_boxes, picture.name, picture.path);
  };
  std::sort(found.begin(), found.end(),
            [&](const Found& a, const Found& b) { return place(a.picture) < place(b.picture); });
  data.idle_rules = idle_rules(options.classes, found);
  check_all(std::move(found), options.classes, data);
  sort_by_path(data.skipped);
  sort_by_path(data.dropped_boxes);
  if (data.pictures.empty())
    throw std::runtime_error(datasets.front() +
                             ": none of its pictures can be read: " + data.skipped.front().reason);
  return data;
}

std::vector<std::string> files_of(const BoxDataset& data) {
  std::vector<std::string> files = data.annotations;
  for (const BoxPicture& picture : data.pictures) files.push_back(picture.path);
  return files;
}

std::vector<std::int64_t> face_counts(const BoxDataset& data) {
  std::vector<std::int64_t> counts(kFaceClasses.size() + 1);
  for (const BoxPicture& picture : data.pictures)
    for (const FaceBox& face : picture.faces)
      if (!face.ignored)
        ++counts[face.label == kUnlabelled ? kFaceClasses.size()
                                           : static_cast<std::size_t>(face.label)];
  return counts;
}

}  // namespace maskwatch::apps
