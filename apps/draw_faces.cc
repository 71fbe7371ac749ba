// Draws a training set of faces with and without masks: DIR/with_mask and DIR/without_mask.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/contact_sheet.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/file.h"
#include "base/parallel_try.h"
#include "vision/drawn/face_generator.h"
#include "vision/image/image.h"

namespace maskwatch::apps {
namespace {

namespace filesystem = std::filesystem;

constexpr int kThumbnailSize = 160;

struct Options {
  std::string output, preview;
  int count = 200, size = 160;
  std::uint64_t seed = 42;
  bool landmarks = false, png = false;
};

Options read_options(int argc, char** argv) {
  Options options;
  OptionParser parser("draw_faces",
                      "Draws faces with and without masks, for demonstrations and tests.");
  parser.add("-o,--output", &options.output, "folder for with_mask/ and without_mask/").required();
  parser.add("-n,--count", &options.count, "pictures in all, half of them with a mask")
      .show_default()
      .range(1, 1'000'000);
  parser.add("--size", &options.size, "width and height in pixels").show_default().range(32, 4096);
  parser.add("--seed", &options.seed, "the pictures depend on it alone").show_default();
  parser.add("--landmarks", &options.landmarks, "a .txt with 68 lines `x y` beside each picture");
  parser.add("--png", &options.png, "PNG instead of JPEG");
  parser.add("--preview", &options.preview, "write a contact sheet to this .png or .jpg");
  parser.parse(argc, argv);
  require_picture("--preview", options.preview);
  if (!options.preview.empty()) require_writable(options.preview);
  return options;
}

std::string landmark_lines(const vision::DrawnFace& face) {
  std::string lines;
  for (const vision::Point& point : face.landmarks)
    lines += fmt::format("{:.2f} {:.2f}\n", point.x, point.y);
  return lines;
}

void make_folder(const filesystem::path& folder) {
  std::error_code error;
  filesystem::create_directories(folder, error);
  if (error)
    throw UsageError(
        fmt::format("{}: cannot create the folder: {}", folder.string(), error.message()));
}

vision::Image draw_one(const Options& options, const filesystem::path (&folders)[2], int i) {
  const std::uint64_t seed = options.seed * 1'000'003 + static_cast<std::uint64_t>(i);
  const bool with_mask = i % 2 == 1;
  vision::DrawnFace face =
      vision::draw_face(vision::random_face(seed, with_mask), options.size, options.size);
  const filesystem::path stem = folders[with_mask] / fmt::format("{:06}", i);
  vision::save_image(stem.string() + (options.png ? ".png" : ".jpg"), face.picture);
  if (options.landmarks) write_file_atomically(stem.string() + ".txt", landmark_lines(face));
  return std::move(face.picture);
}

int draw_faces(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  const filesystem::path folders[2] = {filesystem::path(options.output) / "without_mask",
                                       filesystem::path(options.output) / "with_mask"};
  require_new_folder(options.output);
  for (const auto& folder : folders) make_folder(folder);
  const int size = std::min(options.size, kThumbnailSize);
  std::vector<vision::Image> thumbnails(
      options.preview.empty() ? 0 : std::min(options.count, kSheetImages));
  parallel_try(static_cast<std::size_t>(options.count), [&](std::size_t i) {
    const vision::Image image = draw_one(options, folders, static_cast<int>(i));
    if (i < thumbnails.size()) thumbnails[i] = thumbnail(image, size);
  });
  if (!thumbnails.empty()) vision::save_image(options.preview, contact_sheet(thumbnails, size));
  fmt::print("{} in {}, {} with a mask\n",
             options.count == 1 ? "1 face" : fmt::format("{} faces", options.count),
             one_line(options.output), options.count / 2);
  return 0;
}

}  // namespace
}  // namespace maskwatch::apps

int main(int argc, char** argv) {
  return maskwatch::apps::run_program(argc, argv, maskwatch::apps::draw_faces);
}
