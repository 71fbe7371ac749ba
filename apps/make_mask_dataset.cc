// make_mask_dataset: from a folder of bare faces to a training set with masks laid on.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/masking/face_finder.h"
#include "apps/masking/mask_dataset.h"
#include "base/parallel.h"

namespace maskwatch::apps {
namespace {

struct Options {
  std::vector<std::string> folders;
  MaskDatasetOptions make;
  std::string style = "ours", face = vision::kDefaultFaceDetector, landmarks = "dlib";
  int threads = 0;
};

void define_options(OptionParser& parser, Options& o) {
  parser.add("-d,--dataset", &o.folders, "Folders of photographs of bare faces").required();
  parser
      .add("-o,--output", &o.make.output,
           "New folder for with_mask/, without_mask/ and manifest.json")
      .required();
  parser.add("-n,--count", &o.make.count, "Use this many photographs with a face (0: all)")
      .range(0, 100'000'000)
      .show_default();
  parser.add("--per-face", &o.make.per_face, "Different masks for each photograph that gets one")
      .range(1, 1000)
      .show_default();
  parser
      .add("--views", &o.make.views,
           "Pictures made of each photograph, masked or not: as it is, then cut out closely "
           "or loosely, smaller, in other light, with other things on the face than masks "
           "(default: 4; 1 with --style original)")
      .range(1, 1000);
  parser.add("--share", &o.make.masked, "Share of the photographs that get a mask")
      .range(0.0, 1.0)
      .show_default();
  parser
      .add("--wrong-share", &o.make.wrongly,
           "Share that get one worn wrongly, under the nose or on the chin "
           "(mask_worn_wrongly/)")
      .range(0.0, 1.0)
      .show_default();
  parser
      .add("--style", &o.style,
           "ours, or original: one flat blue mask, pasted as the original's generator does")
      .choices({"ours", "original"})
      .show_default();
  parser
      .add("--face", &o.face,
           "How faces are found: ours, haar, ssd, none (the picture is the face), or a file")
      .show_default();
  add_landmark_option(parser, o.landmarks, "How landmarks are found",
                      "; or beside: NAME.txt beside each picture, 68 lines 'x y' a face");
  parser.add("--size", &o.make.size, "Longest side of the pictures written; larger ones shrink")
      .range(16, 8192)
      .show_default();
  parser.add("--preview", &o.make.preview,
             "Contact sheet of the masked pictures to write (.png, .jpg)");
  parser.add("--seed", &o.make.seed, "Seed of everything random").show_default();
  parser.add("--threads", &o.threads, "Threads (default: all cores); they change no byte")
      .range(0, 1024);
}

void check_options(const OptionParser& parser, const Options& o) {
  if (o.make.masked + o.make.wrongly > 1)
    throw UsageError(fmt::format("--share {} and --wrong-share {} add up to more than 1",
                                 o.make.masked, o.make.wrongly));
  if (o.style == "original" && o.make.wrongly > 0)
    throw UsageError("--style original knows no masks that are worn wrongly", "drop --wrong-share");
  if (o.landmarks == "beside" && parser.given("--face"))
    throw UsageError("--face does nothing with --landmarks beside",
                     "the landmarks say where the faces are");
  require_new_folder(o.make.output);
  require_outside(o.make.output, o.folders);
  if (o.make.preview.empty()) return;
  require_picture("--preview", o.make.preview);
  require_writable(o.make.preview);
}

// A fault of a file without its name: "no face found", "cannot open".
std::string kind_of(const LeftOut& one) {
  const bool named = one.reason.starts_with(one.path + ": ");
  return named ? one.reason.substr(one.path.size() + 2) : one.reason;
}

void report(const MaskDatasetResult& result, const Options& o) {
  fmt::print("{} pictures with a mask, {} without", result.with_mask, result.without_mask);
  if (result.worn_wrongly > 0) fmt::print(", {} with one worn wrongly", result.worn_wrongly);
  fmt::print(" in {}\n", one_line(o.make.output));
  fmt::print("{} files left out, {} faces without landmarks, {} exact copies not used again\n",
             result.left_out.size(), result.faces_without_landmarks, result.copies);
  if (result.left_out.empty() && result.incomplete.empty()) return;
  std::map<std::string, std::size_t> reasons;
  for (const LeftOut& one : result.left_out) ++reasons[kind_of(one)];
  std::vector<std::pair<std::size_t, std::string>> sorted;
  for (const auto& [reason, count] : reasons) sorted.emplace_back(count, reason);
  std::sort(sorted.rbegin(), sorted.rend());
  constexpr std::size_t kMost = 10;
  for (std::size_t i = 0; i < std::min(sorted.size(), kMost); ++i)
    fmt::print("  {} left out: {}\n", sorted[i].first, one_line(sorted[i].second));
  if (sorted.size() > kMost) fmt::print("  and {} other reasons\n", sorted.size() - kMost);
  if (!result.incomplete.empty())
    fmt::print("  {} used, though some of their faces have no landmarks\n",
               result.incomplete.size());
  fmt::print("each with its reason in {}/manifest.json\n", one_line(o.make.output));
}

FaceFinder make_finder(const Options& o) {
  if (o.landmarks == "beside") {
    return [](const vision::Image&, const std::string& path, float scale) {
      return landmarks_beside(path, scale);
    };
  }
  return make_face_finder(o.face, *landmark_finder(o.landmarks, "beside, "));
}

MaskDatasetResult make(const Dataset& photographs, const FaceFinder& finder,
                       const MaskDatasetOptions& options) {
  try {
    return make_mask_dataset(photographs, finder, options);
  } catch (const NoFaces& fault) {
    throw UsageError(fault.what(), "try another --face or --landmarks");
  }
}

int run(int argc, char** argv) {
  Options o;
  OptionParser parser("make_mask_dataset",
                      "Lays artificial masks over photographs of bare faces: a training set.");
  define_options(parser, o);
  parser.parse(argc, argv);
  check_options(parser, o);
  set_threads(o.threads);
  o.make.original_style = o.style == "original";
  if (!parser.given("--views")) o.make.views = o.make.original_style ? 1 : 4;
  Dataset photographs = scan_images(o.folders);
  require_apart({{"--preview", o.make.preview}}, paths_of(photographs));
  if (o.landmarks == "beside")
    std::erase_if(photographs.skipped,
                  [](const SkippedFile& file) { return file.path.ends_with(".txt"); });
  const FaceFinder finder = make_finder(o);
  std::unique_ptr<ProgressBar> bar;
  o.make.progress = [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar = std::make_unique<ProgressBar>(total);
    bar->update(done);
  };
  const MaskDatasetResult result = make(photographs, finder, o.make);
  if (bar) bar->finish();
  report(result, o);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::run);
}
