// crop_faces: from pictures with boxes to a folder of faces for each class, for
// train_mask_detector.
#include <fmt/format.h>

#include <memory>

#include "apps/common/face_options.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "apps/common/progress.h"
#include "apps/training/box_crops.h"
#include "apps/training/box_messages.h"
#include "apps/training/picture_lists.h"
#include "base/parallel.h"

namespace maskwatch::apps {
namespace {

struct Options {
  std::vector<std::string> datasets, classes;
  std::string only, without, background;
  double least_score = 0.1;
  BoxCropOptions crops;
  int threads = 0;
};

void define_options(OptionParser& parser, Options& o) {
  add_box_options(parser, o.datasets, o.classes);
  parser
      .add("-o,--output", &o.crops.output,
           "New folder, for with_mask/, without_mask/, mask_worn_wrongly/ and background/, those "
           "that occur")
      .required();
  const OptionParser::Option& only = parser.add(
      "--only", &o.only,
      "JSON that train_face_detector --history wrote: only the pictures that it was validated on");
  parser.add("--without", &o.without, "The same: all pictures but those").excludes(only);
  parser
      .add("--margin", &o.crops.margin,
           "How much a box grows on each side, as a share of its size; by default as for the "
           "faces that the detecting programs find")
      .range(0.0, 4.0)
      .show_default();
  parser
      .add("--least-side", &o.crops.least_side,
           "Leave out faces whose box has a side of fewer pixels")
      .range(1, 65536)
      .show_default();
  parser
      .add("--size", &o.crops.size,
           "Longest side of the pictures written; larger ones shrink, none grows")
      .range(8, 8192)
      .show_default();
  parser.add("--jpeg-quality", &o.crops.jpeg_quality, "Quality of the pictures written")
      .range(1, 100)
      .show_default();
  parser.add(
      "--background", &o.background,
      "Face detector, by name (ours, haar, ssd) or file: what it takes for faces beside those "
      "of the pictures goes into background/, for a classifier that knows better");
  parser
      .add("--least-score", &o.least_score,
           "With --background: how sure the detector must be of such a face")
      .range(0.0, 1.0)
      .show_default();
  parser
      .add("--most-background", &o.crops.most_background,
           "With --background: most of them from one picture, the surest")
      .range(1, 1000)
      .show_default();
  parser.add("--threads", &o.threads, "Threads (default: all cores); they change no byte")
      .range(0, 1024);
}

void report(const BoxCrops& crops, const Options& o) {
  for (const SkippedFile& picture : crops.broken) tell_line("skipped " + picture.reason);
  std::string counts;
  for (std::size_t i = 0; i < kFaceClasses.size(); ++i)
    counts += fmt::format("{}{} {}", i > 0 ? ", " : "", kFaceClasses[i], crops.written[i]);
  fmt::print("faces in {}: {}\n", one_line(o.crops.output), counts);
  if (!o.background.empty())
    fmt::print("no faces in {}/{}: {}\n", one_line(o.crops.output), kBackgroundClass,
               crops.background);
  fmt::print("left out: {} ignored, {} of unknown class, {} with a side below {} pixels; ",
             crops.ignored, crops.unlabelled, crops.small, o.crops.least_side);
  fmt::print("{} pictures cannot be decoded\n", crops.broken.size());
}

int run(int argc, char** argv) {
  Options o;
  OptionParser parser("crop_faces",
                      "Cuts the faces of pictures with boxes out, into a folder for each class, "
                      "as train_mask_detector reads them.");
  define_options(parser, o);
  parser.parse(argc, argv);
  for (const char* option : {"--least-score", "--most-background"})
    if (o.background.empty() && parser.given(option))
      throw UsageError(fmt::format("{} needs --background", option));
  check_sureness(parser, "--least-score", "--background", o.background);
  set_threads(o.threads);
  require_new_folder(o.crops.output);
  require_outside(o.crops.output, o.datasets);
  BoxDataset data = read_boxes(o.datasets, {ClassMap(o.classes)});
  const std::string& history = o.only.empty() ? o.without : o.only;
  if (!history.empty())
    choose_pictures(data, names_in_history(history, "train_face_detector"), !o.only.empty(),
                    history);
  if (!o.background.empty())
    o.crops.make_detector = [&] {
      return vision::make_face_detector(o.background, static_cast<float>(o.least_score));
    };
  tell_of_boxes(data);
  fmt::print("{}\n", summary_of(data));
  ProgressBar bar(static_cast<std::int64_t>(data.pictures.size()));
  o.crops.progress = [&](std::int64_t done) { bar.update(done); };
  const BoxCrops crops = crop_faces(data, o.crops);
  bar.finish();
  report(crops, o);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::run);
}
