#include "apps/training/box_messages.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

void tell_all(const std::vector<SkippedFile>& files, const char* what) {
  for (std::size_t i = 0; i < std::min(files.size(), kMostNamed); ++i) {
    // Some reasons name the file already.
    const bool named = files[i].reason.find(files[i].path) != std::string::npos;
    fmt::print("{} {}{}\n", what, named ? "" : one_line(files[i].path) + ": ",
               one_line(files[i].reason));
  }
  if (files.size() > kMostNamed) fmt::print("{} {} more\n", what, files.size() - kMostNamed);
}

}  // namespace

void add_box_options(OptionParser& parser, std::vector<std::string>& datasets,
                     std::vector<std::string>& classes) {
  parser
      .add("-d,--dataset", &datasets,
           "Pictures with boxes: folders or files of Pascal VOC (.xml), YOLO (.txt), COCO or "
           "boxes.json, FDDB's ellipses or WIDER FACE's boxes (.txt)")
      .required();
  parser.add("--classes", &classes,
             "What class names mean, where they are not the usual ones: mask=NAME,NAME "
             "no_mask=... worn_wrongly=... face=... (class unknown) ignore=... other=... (no "
             "face)");
}

void tell_of_boxes(const BoxDataset& data) {
  tell_all(data.skipped, "skipped");
  tell_all(data.dropped_boxes, "box left out:");
  if (data.cut_boxes > 0)
    fmt::print("{} boxes reach beyond their picture and were cut off at its edge\n",
               data.cut_boxes);
  if (data.rescaled_pictures > 0)
    fmt::print("{} pictures have another size than their annotation says: boxes were scaled\n",
               data.rescaled_pictures);
  for (const std::string& name : data.idle_rules)
    fmt::print("note: no annotation has the class '{}' of --classes\n", one_line(name));
}

std::string summary_of(const BoxDataset& data) {
  std::int64_t empty = 0, ignored = 0, without_boxes = 0;
  for (const BoxPicture& picture : data.pictures) {
    without_boxes += picture.without_boxes ? 1 : 0;
    empty += picture.faces.empty() && !picture.without_boxes ? 1 : 0;
    ignored += std::count_if(picture.faces.begin(), picture.faces.end(),
                             [](const FaceBox& face) { return face.ignored; });
  }
  const auto counts = face_counts(data);
  std::string text = fmt::format("{} pictures, {} without a face", data.pictures.size(), empty);
  if (without_boxes > 0) text += fmt::format(", {} without boxes", without_boxes);
  text += "; faces:";
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i)
    text += fmt::format("{} {} {}", i > 0 ? "," : "", kFaceClasses[i], counts[i]);
  if (counts.back() > 0) text += fmt::format(", of unknown class {}", counts.back());
  if (ignored > 0) text += fmt::format("; {} ignored", ignored);
  if (!data.skipped.empty()) text += fmt::format("; {} files skipped", data.skipped.size());
  if (!data.dropped_boxes.empty())
    text += fmt::format("; {} boxes left out", data.dropped_boxes.size());
  return text;
}

}  // namespace maskwatch::apps
