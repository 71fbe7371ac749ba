// Draws a training set of faces with and without masks: DIR/with_mask and DIR/without_mask.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/parallel.h"
#include "vision/drawn/face_generator.h"
#include "vision/image/draw.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

namespace filesystem = std::filesystem;

struct Options {
  std::string output, preview;
  int count = 200, size = 160;
  std::uint64_t seed = 42;
  bool landmarks = false, png = false;
};

Options read_options(int argc, char** argv) {
  Options options;
  CLI::App app("Draws faces with and without masks, for demonstrations and tests.", "draw_faces");
  app.add_option("-o,--output", options.output, "folder for with_mask/ and without_mask/")
      ->required();
  app.add_option("-n,--count", options.count, "pictures in all, half of them with a mask")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--size", options.size, "width and height in pixels")
      ->capture_default_str()
      ->check(CLI::Range(32, 4096));
  app.add_option("--seed", options.seed, "the pictures depend on it alone")->capture_default_str();
  app.add_flag("--landmarks", options.landmarks, "a .txt with 68 lines `x y` beside each picture");
  app.add_flag("--png", options.png, "PNG instead of JPEG");
  app.add_option("--preview", options.preview, "write a contact sheet to this .png or .jpg");
  apps::parse_arguments(app, argc, argv);
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
    throw apps::UsageError(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
}

// Rows of ten pictures, at most sixty.
class ContactSheet {
 public:
  ContactSheet(int count, int tile) : tile_(tile), count_(std::min(count, 60)) {
    const int columns = std::min(count_, 10), rows = (count_ + 9) / 10;
    sheet_ = vision::Image(columns * tile, rows * tile);
  }
  void add(int index, const vision::Image& picture) {
    if (index < count_)
      vision::paste(sheet_, vision::resize(picture, tile_, tile_), index % 10 * tile_,
                    index / 10 * tile_);
  }
  const vision::Image& sheet() const { return sheet_; }

 private:
  int tile_, count_;
  vision::Image sheet_;
};

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
  for (const auto& folder : folders) make_folder(folder);
  ContactSheet sheet(options.count, std::min(options.size, 160));
  std::exception_ptr failure;  // nothing may leave a parallel loop
  std::mutex mutex;
  parallel_for(options.count, [&](std::int64_t i) {
    try {
      const vision::Image picture = draw_one(options, folders, static_cast<int>(i));
      if (!options.preview.empty()) sheet.add(static_cast<int>(i), picture);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
  if (!options.preview.empty()) vision::save_image(options.preview, sheet.sheet());
  fmt::print("{} faces in {}, half of them with a mask\n", options.count, options.output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return maskwatch::apps::run_program(argc, argv, draw_faces); }
