#include "apps/masking/mask_dataset.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/parallel.h"
#include "tests/apps/temporary_folder.h"
#include "vision/drawn/face_generator.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;

std::string landmark_lines(const vision::DrawnFace& face) {
  std::string lines;
  for (const vision::Point& p : face.landmarks) lines += fmt::format("{:.2f} {:.2f}\n", p.x, p.y);
  return lines;
}

// Faces with landmarks beside them: 0.png .. ; a copy of 0 and a picture that nobody looked at.
void draw_input(const TemporaryFolder& folder, int count) {
  fs::create_directories(folder / "in/more");
  for (int i = 0; i < count; ++i) {
    const auto face = vision::draw_face(vision::random_face(i, false), 96, 96);
    const std::string stem =
        folder / ("in/" + std::string(i % 2 ? "more/" : "") + std::to_string(i));
    vision::save_image(stem + ".png", face.picture);
    folder.write(fs::relative(stem + ".txt", folder.path()).string(), landmark_lines(face));
  }
  fs::copy(folder / "in/0.png", folder / "in/zz_copy.png");
}

apps::MaskDatasetResult make(const TemporaryFolder& folder, const std::string& output,
                             apps::MaskDatasetOptions options = {}) {
  options.output = folder / output;
  return apps::make_mask_dataset(
      apps::scan_images({folder / "in"}),
      [](const vision::Image&, const std::string& path, float scale) {
        return apps::landmarks_beside(path, scale);
      },
      options);
}

// Relative path to bytes of every file below the folder.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path().string());
  return files;
}

nlohmann::json manifest_of(const TemporaryFolder& folder, const std::string& output) {
  return nlohmann::json::parse(read_file(folder / (output + "/manifest.json")));
}

}  // namespace

TEST_CASE("make_mask_dataset: every photograph in one class, the manifest tells the truth") {
  TemporaryFolder folder;
  draw_input(folder, 10);
  folder.write("in/broken.png", "no picture");
  const auto unseen = vision::draw_face(vision::random_face(77, false), 64, 64);
  vision::save_image(folder / "in/unseen.png", unseen.picture);
  apps::MaskDatasetOptions options;
  options.masked = .5;
  options.wrongly = .2;
  options.per_face = 2;
  options.preview = folder / "sheet.png";
  const auto result = make(folder, "out", options);
  CHECK(result.with_mask == 10);
  CHECK(result.worn_wrongly == 4);
  CHECK(result.without_mask == 3);
  CHECK(result.copies == 1);
  REQUIRE(result.left_out.size() >= 2);

  const nlohmann::json manifest = manifest_of(folder, "out");
  std::set<std::string> listed;
  std::map<std::string, std::set<std::string>> classes_of;
  bool copy_named = false;
  for (const auto& picture : manifest["pictures"]) {
    const std::string file = picture["file"], from = picture["from"], kind = picture["class"];
    listed.insert(file);
    classes_of[from].insert(kind);
    CHECK(file.starts_with(kind + "/"));
    const vision::Image made = vision::load_image(folder / ("out/" + file));
    vision::save_image(folder / "again.jpg", vision::load_image(from));
    const vision::Image photo = vision::load_image(folder / "again.jpg");
    double difference = 0;
    for (std::size_t i = 0; i < made.pixels.size(); ++i)
      difference += std::abs(made.pixels[i] - photo.pixels[i]);
    difference /= static_cast<double>(made.pixels.size());
    CAPTURE(kind);
    CHECK((difference == 0) == (kind == "without_mask"));
    CHECK(picture.contains("faces") == (kind != "without_mask"));
    if (kind != "without_mask") {
      const bool proper = picture["faces"][0]["wear"] == "proper";
      CHECK(proper == (kind == "with_mask"));
    }
    if (picture.contains("copies")) {
      copy_named = true;
      CHECK(picture["copies"] == nlohmann::json{folder / "in/zz_copy.png"});
    }
  }
  CHECK(copy_named);
  CHECK(classes_of.size() == 10);
  for (const auto& [from, classes] : classes_of) CHECK(classes.size() == 1);
  std::set<std::string> written;
  for (const auto& [name, bytes] : contents(folder / "out"))
    if (name != "manifest.json") written.insert(name);
  CHECK(written == listed);
  std::string left_out = manifest["left_out"].dump();
  CHECK(left_out.find("broken.png") != std::string::npos);
  CHECK(left_out.find("unseen.png") != std::string::npos);
  CHECK(vision::load_image(folder / "sheet.png").width == 1600);
}

TEST_CASE("make_mask_dataset: the same bytes on any number of threads, others with another seed") {
  TemporaryFolder folder;
  draw_input(folder, 6);
  const int threads = maskwatch::threads();
  set_threads(1);
  make(folder, "one");
  set_threads(3);
  make(folder, "three");
  apps::MaskDatasetOptions other;
  other.seed = 7;
  make(folder, "other", other);
  set_threads(threads);
  CHECK(contents(folder / "one") == contents(folder / "three"));
  CHECK(contents(folder / "one") != contents(folder / "other"));
}

TEST_CASE("make_mask_dataset: views of bare and masked photographs alike") {
  TemporaryFolder folder;
  draw_input(folder, 12);
  apps::MaskDatasetOptions options;
  options.views = 4;
  const auto result = make(folder, "out", options);
  CHECK(result.with_mask == 24);
  CHECK(result.without_mask == 24);
  std::map<std::string, std::set<std::string>> classes_of;
  std::map<std::string, int> extras;
  const nlohmann::json manifest = manifest_of(folder, "out");
  for (const auto& picture : manifest["pictures"]) {
    const std::string kind = picture["class"], file = picture["file"];
    classes_of[picture["from"]].insert(kind);
    if (picture.contains("extra")) {
      ++extras[kind];
      CHECK_FALSE(file.ends_with("_0.jpg"));
    }
    if (file.ends_with("_0.jpg"))
      CHECK(vision::image_file_size(folder / ("out/" + file)).width == 96);
  }
  for (const auto& [from, classes] : classes_of) CHECK(classes.size() == 1);
  for (const char* kind : {"with_mask", "without_mask"}) {  // half of 18
    CHECK(extras[kind] >= 3);
    CHECK(extras[kind] <= 15);
  }
}

TEST_CASE("make_mask_dataset: count, size and the original's style") {
  TemporaryFolder folder;
  draw_input(folder, 8);
  apps::MaskDatasetOptions options;
  options.count = 4;
  options.size = 48;
  options.original_style = true;
  const auto result = make(folder, "out", options);
  CHECK(result.with_mask == 2);
  CHECK(result.without_mask == 2);
  const auto manifest = manifest_of(folder, "out");
  for (const auto& picture : manifest["pictures"]) {
    const std::string file = picture["file"];
    CHECK(vision::image_file_size(folder / ("out/" + file)).width == 48);
  }
}

TEST_CASE("make_mask_dataset: a face without landmarks is named and counted") {
  TemporaryFolder folder;
  draw_input(folder, 2);
  std::string points = read_file(folder / "in/0.txt");
  for (int i = 0; i < 68; ++i) points += "5 5\n";
  folder.write("in/0.txt", points);
  const auto result = make(folder, "out");
  CHECK(result.faces_without_landmarks == 1);
  REQUIRE(result.incomplete.size() == 1);
  CHECK(result.incomplete[0].path == folder / "in/0.png");
  CHECK(result.incomplete[0].reason == "1 of 2 faces without landmarks");
  CHECK(manifest_of(folder, "out")["incomplete"].size() == 1);
}

TEST_CASE("make_mask_dataset: what is wrong is named") {
  TemporaryFolder folder;
  CHECK(message_of([&] { apps::scan_images({folder / "nowhere"}); }).find("no such folder") !=
        std::string::npos);
  fs::create_directories(folder / "in");
  CHECK(message_of([&] { make(folder, "out"); }).find("holds no pictures (jpg") !=
        std::string::npos);
  vision::save_image(folder / "in/a.png", vision::Image(20, 20));
  CHECK(message_of([&] { make(folder, "out"); }).find("shows a face") != std::string::npos);
  CHECK_FALSE(fs::exists(folder / "out"));
  folder.write("in/a.txt", "1 2 3");
  CHECK(message_of([&] { make(folder, "out"); }).find("68 lines") != std::string::npos);
  std::string point;
  for (int i = 0; i < 68; ++i) point += "5 5\n";
  folder.write("in/a.txt", point);
  CHECK(message_of([&] { make(folder, "out"); }).find("without landmarks") != std::string::npos);
  draw_input(folder, 2);
  folder.write("out/old.jpg", "old");
  CHECK(message_of([&] { make(folder, "out"); }).find("not an empty folder") != std::string::npos);
  CHECK(read_file(folder / "out/old.jpg") == "old");
}

TEST_CASE("landmarks far outside a picture are no face") {
  TemporaryFolder folder;
  draw_input(folder, 2);
  auto face = vision::draw_face(vision::random_face(0, false), 96, 96);
  face.landmarks[24].x = 193;
  folder.write("in/0.txt", landmark_lines(face));
  const auto reason = [&](const std::string& output) {
    for (const auto& file : make(folder, output).left_out)
      if (file.path == folder / "in/0.png") return file.reason;
    return std::string();
  };
  CHECK(reason("out") == "landmarks far outside the picture");
  face.landmarks[24].x = 110;
  folder.write("in/0.txt", landmark_lines(face));
  CHECK(reason("near") == "");
}
