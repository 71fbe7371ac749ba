// Faces cut out of pictures with boxes: which pixels, what they are called, what is left out.
#include "apps/training/box_crops.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/parallel.h"
#include "tests/apps/temporary_folder.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;

// Red tells the column, green the row, so that a crop's pixels say where they come from.
void draw_places(const std::string& path, int width, int height) {
  vision::Image image(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.at(x, y)[0] = static_cast<std::uint8_t>(2 * x);
      image.at(x, y)[1] = static_cast<std::uint8_t>(2 * y);
      image.at(x, y)[2] = 100;
    }
  fs::create_directories(fs::path(path).parent_path());
  vision::save_image(path, image);
}

apps::FaceBox face(const vision::Box& box, int label, bool ignored = false) {
  return {box, label, ignored};
}

apps::BoxPicture picture(const TemporaryFolder& folder, const std::string& name,
                         std::vector<apps::FaceBox> faces) {
  apps::BoxPicture picture;
  picture.path = folder / ("in/" + name);
  picture.name = name;
  picture.width = 120;
  picture.height = 100;
  picture.faces = std::move(faces);
  draw_places(picture.path, picture.width, picture.height);
  return picture;
}

apps::BoxCrops cut(const TemporaryFolder& folder, const apps::BoxDataset& data,
                   apps::BoxCropOptions options = {}, const std::string& output = "out") {
  options.output = folder / output;
  return apps::crop_faces(data, options);
}

// Relative path to bytes of every file below the folder.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path().string());
  return files;
}

// Whether pixel (x, y) of a crop shows column and row of the picture, to within a pixel.
void check_place(const vision::Image& crop, int x, int y, double column, double row) {
  CAPTURE(x);
  CAPTURE(y);
  CHECK(std::abs(crop.at(x, y)[0] / 2.0 - column) <= 1.5);
  CHECK(std::abs(crop.at(x, y)[1] / 2.0 - row) <= 1.5);
}

}  // namespace

TEST_CASE("crop_faces: the box grown by the margin, cut off at the picture's edge") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  data.pictures.push_back(
      picture(folder, "a.png", {face({40, 30, 20, 40}, 0), face({0, 68, 40, 32}, 1)}));
  apps::BoxCropOptions options;
  options.margin = 0.25f;
  options.jpeg_quality = 100;
  const auto result = cut(folder, data, options);
  CHECK(result.written == apps::LabelCounts{1, 1, 0});
  const vision::Image inner = vision::load_image(folder / "out/with_mask/a_0.jpg");
  CHECK(inner.width == 30);
  CHECK(inner.height == 60);
  check_place(inner, 0, 0, 35, 20);
  check_place(inner, 29, 59, 64, 79);
  const vision::Image edge = vision::load_image(folder / "out/without_mask/a_1.jpg");
  CHECK(edge.width == 50);
  CHECK(edge.height == 40);
  check_place(edge, 0, 0, 0, 60);
  check_place(edge, 49, 39, 49, 99);
  CHECK(!fs::exists(folder / "out/mask_worn_wrongly"));
}

TEST_CASE("crop_faces: by default the margin of the detector that ships; large crops shrink") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  data.pictures.push_back(picture(folder, "a.png", {face({20, 20, 40, 60}, 2)}));
  cut(folder, data);
  const vision::Image whole = vision::load_image(folder / "out/mask_worn_wrongly/a_0.jpg");
  CHECK(whole.width == 52);
  CHECK(whole.height == 78);
  check_place(whole, 2, 2, 16, 13);
  apps::BoxCropOptions options;
  options.size = 39;
  options.jpeg_quality = 100;
  cut(folder, data, options, "small");
  const vision::Image small = vision::load_image(folder / "small/mask_worn_wrongly/a_0.jpg");
  CHECK(small.width == 26);
  CHECK(small.height == 39);
  check_place(small, 0, 0, 14.5, 11.5);
  check_place(small, 25, 38, 64.5, 87.5);
}

TEST_CASE("crop_faces: what is left out is counted; the bytes do not depend on threads") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  data.pictures.push_back(picture(
      folder, "a.png",
      {face({10, 10, 30, 30}, 0, true), face({10, 10, 30, 30}, apps::kUnlabelled),
       face({10, 10, 30, 11.5f}, 0), face({10, 10, 12, 30}, 0), face({50, 50, 12, 12}, 1)}));
  data.pictures.push_back(picture(folder, "broken.png", {face({10, 10, 30, 30}, 0)}));
  folder.write("in/broken.png", "no picture");
  data.pictures.push_back(picture(folder, "empty.png", {}));
  std::int64_t steps = 0;
  apps::BoxCropOptions options;
  options.progress = [&](std::int64_t done) { CHECK(done == ++steps); };
  const auto result = cut(folder, data, options);
  CHECK(steps == 3);
  CHECK(result.written == apps::LabelCounts{1, 1, 0});
  CHECK(result.ignored == 1);
  CHECK(result.unlabelled == 1);
  CHECK(result.small == 1);
  REQUIRE(result.broken.size() == 1);
  CHECK(result.broken.front().path == folder / "in/broken.png");
  const auto files = contents(folder / "out");
  CHECK(files.size() == 2);
  CHECK(files.contains("with_mask/a_3.jpg"));
  CHECK(files.contains("without_mask/a_4.jpg"));
  set_threads(1);
  cut(folder, data, {}, "again");
  set_threads(0);
  CHECK(contents(folder / "again") == files);
}

namespace {

// Finds the same in every picture.
class FixedFinds : public vision::FaceDetector {
 public:
  explicit FixedFinds(std::vector<vision::Detection> finds) : finds_(std::move(finds)) {}
  std::vector<vision::Detection> detect(const vision::ImageView&) override { return finds_; }
  std::string name() const override { return "fixed"; }
  float margin() const override { return 0; }

 private:
  std::vector<vision::Detection> finds_;
};

}  // namespace

TEST_CASE("crop_faces: what a detector takes for faces is background, unless it may be one") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  data.pictures.push_back(
      picture(folder, "a.png", {face({10, 10, 20, 30}, 0), face({10, 60, 40, 30}, 1)}));
  data.pictures.push_back(picture(folder, "b.png", {}));
  apps::BoxPicture for_a_teacher = picture(folder, "c.png", {});
  for_a_teacher.without_boxes = true;
  data.pictures.push_back(for_a_teacher);
  const std::vector<vision::Detection> finds{
      {{80, 10, 30, 30}, .7f},   // sure: it may be a face that nobody boxed
      {{12, 12, 20, 30}, .55f},  // the first face
      {{80, 50, 30, 30}, .45f},
      {{60, 10, 19, 30}, .4f},   // smaller than the smallest face: it may be a far one
      {{60, 50, 11, 30}, .35f},  // too small to be used
      {{26, 24, 30, 30}, .3f},   // it touches a face
      {{70, 20, 20, 30}, .2f},
      {{50, 0, 30, 30}, .1f}};
  apps::BoxCropOptions options;
  options.make_detector = [&] { return std::make_unique<FixedFinds>(finds); };
  options.most_background = 3;
  const auto result = cut(folder, data, options);
  CHECK(result.written == apps::LabelCounts{1, 1, 0});
  CHECK(result.background == 6);
  auto files = contents(folder / "out");
  CHECK(files.size() == 8);
  for (const char* name : {"a_2", "a_5", "a_6", "b_0", "b_1", "b_2"}) {
    CAPTURE(name);
    CHECK(files.contains("background/" + std::string(name) + ".jpg"));
  }
  set_threads(1);
  cut(folder, data, options, "again");
  set_threads(0);
  CHECK(contents(folder / "again") == files);

  options.make_detector = []() -> std::unique_ptr<vision::FaceDetector> {
    throw std::runtime_error("no such detector");
  };
  CHECK_THROWS_WITH_AS(cut(folder, data, options, "none"), "no such detector", std::runtime_error);
  CHECK(!fs::exists(folder / "none"));
}

TEST_CASE("crop_faces: pictures that would be called the same stay apart, none is hidden") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  for (const char* name : {".a.png", "d/a.jpg", "d/a.png", "d_a.png"})
    data.pictures.push_back(picture(folder, name, {face({10, 10, 30, 30}, 0)}));
  CHECK(cut(folder, data).written == apps::LabelCounts{4, 0, 0});
  std::string names;
  for (const auto& [name, bytes] : contents(folder / "out")) names += name + " ";
  CHECK(names ==
        "with_mask/_a_0.jpg with_mask/d_a_0.jpg with_mask/d_a~2_0.jpg with_mask/d_a~3_0.jpg ");
}

TEST_CASE("crop_faces: a data set without usable faces is refused before a folder is made") {
  TemporaryFolder folder;
  apps::BoxDataset data;
  data.pictures.push_back(picture(folder, "a.png", {face({10, 10, 11, 30}, 0)}));
  CHECK_THROWS_WITH_AS(cut(folder, data), doctest::Contains("none of 1 pictures has a face"),
                       std::runtime_error);
  CHECK(!fs::exists(folder / "out"));
}

TEST_CASE("choose_pictures: those that are named or all others; names that are missing are told") {
  const auto data = [] {
    apps::BoxDataset data;
    for (const char* name : {"a.png", "b.png", "c.png"}) data.pictures.emplace_back().name = name;
    return data;
  };
  apps::BoxDataset kept = data(), left = data();
  apps::choose_pictures(kept, {"a.png", "c.png"}, true, "h.json");
  REQUIRE(kept.pictures.size() == 2);
  CHECK(kept.pictures[1].name == "c.png");
  apps::choose_pictures(left, {"a.png", "c.png"}, false, "h.json");
  REQUIRE(left.pictures.size() == 1);
  CHECK(left.pictures[0].name == "b.png");
  const auto fault = [&](const std::set<std::string>& names, bool keep) {
    apps::BoxDataset all = data();
    return message_of([&] { apps::choose_pictures(all, names, keep, "h.json"); });
  };
  CHECK(fault({"a.png", "x.png", "y.png"}, false) ==
        "h.json: 2 of 3 pictures that it names are not in the data set: x.png, y.png");
  CHECK(fault({"1", "2", "3", "4"}, true) ==
        "h.json: 4 of 4 pictures that it names are not in the data set: 1, 2, 3, ...");
  CHECK(fault({"a.png", "b.png", "c.png"}, false) ==
        "h.json: it names all of the data set's pictures");
  CHECK(fault({}, true) == "h.json: it names no pictures");
  apps::BoxDataset twins = data();
  twins.pictures[1].name = "a.png";
  CHECK(message_of([&] {
          apps::choose_pictures(twins, {"c.png"}, true, "h.json");
        }).starts_with("h.json tells pictures apart by their names, but "));
}
