// make_mask_dataset: from a folder of bare faces to a training set with masks laid on.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/common/face_options.h"
#include "apps/common/files.h"
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
  std::string style = "ours", face = "haar", landmarks = "dlib";
  int threads = 0;
};

void define_options(CLI::App& app, Options& o) {
  app.add_option("-d,--dataset", o.folders, "Folders of photographs of bare faces")->required();
  app.add_option("-o,--output", o.make.output,
                 "New folder for with_mask/, without_mask/ and manifest.json")
      ->required();
  app.add_option("-n,--count", o.make.count, "Use this many photographs with a face (0: all)")
      ->check(CLI::Range(0, 100'000'000))
      ->capture_default_str();
  app.add_option("--per-face", o.make.per_face, "Different masks for each photograph that gets one")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--views", o.make.views,
                 "Pictures made of each photograph, masked or not: as it is, then cut out closely "
                 "or loosely, smaller, in other light, with other things on the face than masks "
                 "(default: 4; 1 with --style original)")
      ->check(CLI::Range(1, 1000));
  app.add_option("--share", o.make.masked, "Share of the photographs that get a mask")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--wrong-share", o.make.wrongly,
                 "Share that get one worn wrongly, under the nose or on the chin "
                 "(mask_worn_wrongly/)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--style", o.style,
                 "ours, or original: one flat blue mask, pasted as the original's generator does")
      ->check(CLI::IsMember({"ours", "original"}))
      ->capture_default_str();
  app.add_option("--face", o.face,
                 "How faces are found: haar, ssd, none (the picture is the face), or a file")
      ->capture_default_str();
  add_landmark_option(app, o.landmarks, "How landmarks are found",
                      "; or beside: NAME.txt beside each picture, 68 lines 'x y' a face");
  app.add_option("--size", o.make.size, "Longest side of the pictures written; larger ones shrink")
      ->check(CLI::Range(16, 8192))
      ->capture_default_str();
  app.add_option("--preview", o.make.preview,
                 "Contact sheet of the masked pictures to write (.png)");
  app.add_option("--seed", o.make.seed, "Seed of everything random")->capture_default_str();
  app.add_option("--threads", o.threads, "Threads (default: all cores); they change no byte")
      ->check(CLI::Range(0, 1024));
}

void check_options(const Options& o) {
  if (o.make.masked + o.make.wrongly > 1)
    throw UsageError(fmt::format("--share {} and --wrong-share {} are more than all photographs",
                                 o.make.masked, o.make.wrongly));
  if (o.style == "original" && o.make.wrongly > 0)
    throw UsageError("--style original knows no masks that are worn wrongly", "drop --wrong-share");
  if (o.make.preview.empty()) return;
  if (!o.make.preview.ends_with(".png") && !o.make.preview.ends_with(".jpg"))
    throw UsageError("--preview " + o.make.preview + ": neither .png nor .jpg");
  require_writable(o.make.preview);
}

void report(const MaskDatasetResult& result, const Options& o) {
  for (const LeftOut& one : result.left_out)
    if (one.reason != kNotNeeded)
      fmt::print("left out {}: {}\n", one_line(one.path), one_line(one.reason));
  for (const LeftOut& one : result.incomplete)
    fmt::print("{}: {}\n", one_line(one.path), one.reason);
  fmt::print("{} pictures with a mask, {} without", result.with_mask, result.without_mask);
  if (result.worn_wrongly > 0) fmt::print(", {} with one worn wrongly", result.worn_wrongly);
  fmt::print(" in {}\n", one_line(o.make.output));
  fmt::print("{} files left out, {} faces without landmarks, {} exact copies not used again\n",
             result.left_out.size(), result.faces_without_landmarks, result.copies);
}

FaceFinder make_finder(const Options& o) {
  if (o.landmarks == "beside") {
    return [](const vision::Image&, const std::string& path, float scale) {
      return landmarks_beside(path, scale);
    };
  }
  return detector_and_landmarks(o.face, *landmark_finder(o.landmarks));
}

int run(int argc, char** argv) {
  Options o;
  CLI::App app("Lays artificial masks over photographs of bare faces: a training set.",
               "make_mask_dataset");
  define_options(app, o);
  parse_arguments(app, argc, argv);
  check_options(o);
  set_threads(o.threads);
  o.make.original_style = o.style == "original";
  if (app.count("--views") == 0) o.make.views = o.make.original_style ? 1 : 4;
  Dataset photographs = scan_pictures(o.folders);
  if (o.landmarks == "beside")
    std::erase_if(photographs.skipped,
                  [](const SkippedFile& file) { return file.path.ends_with(".txt"); });
  const FaceFinder finder = make_finder(o);
  std::unique_ptr<ProgressBar> bar;
  o.make.progress = [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar = std::make_unique<ProgressBar>(total);
    bar->update(done);
  };
  const MaskDatasetResult result = make_mask_dataset(photographs, finder, o.make);
  if (bar) bar->finish();
  report(result, o);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::run);
}
