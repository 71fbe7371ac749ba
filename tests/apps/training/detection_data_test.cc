// From pictures with boxes to training batches: what is kept in memory, the split by photograph,
// crops and their faces.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/common/program.h"
#include "apps/training/detection_crops.h"
#include "apps/training/detection_loader.h"
#include "apps/training/detection_pictures.h"
#include "apps/training/detection_split.h"
#include "apps/training/light.h"
#include "apps/training/teacher.h"
#include "base/parallel.h"
#include "tests/apps/temporary_folder.h"
#include "tests/kernels/thread_communicator.h"
#include "vision/image/resize.h"

using namespace maskwatch;
using apps::FaceBox;
using vision::Image;

namespace {

// Blobs of grey that no other seed has.
Image pattern(int width, int height, std::uint64_t seed) {
  Random random{seed};
  Image small(6, 6);
  for (auto& value : small.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return vision::resize(small, width, height);
}

// A red square on blue, and its box: what a crop shows red must be what its faces say.
void add_square(apps::DetectionPictures& pictures, int width, int height, FaceBox face) {
  Image image(width, height);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i + 2] = 200;
  const auto& box = face.box;
  for (int y = static_cast<int>(box.y); y < static_cast<int>(box.y + box.height); ++y)
    for (int x = static_cast<int>(box.x); x < static_cast<int>(box.x + box.width); ++x) {
      image.at(x, y)[0] = 255;
      image.at(x, y)[2] = 0;
    }
  const std::string name = "square" + std::to_string(pictures.images.size());
  pictures.data.pictures.push_back({name, name, "squares", width, height, {face}});
  pictures.hashes.push_back(apps::picture_hash(image));
  pictures.mirrored.push_back(apps::picture_hash(vision::flip_horizontally(image)));
  pictures.images.push_back(std::move(image));
}

void add_pattern(apps::DetectionPictures& pictures, const std::string& source, std::uint64_t seed,
                 bool face) {
  Image image = pattern(60, 40, seed);
  const std::string name = source + std::to_string(seed);
  apps::BoxPicture picture{name, name, source, 60, 40, {}};
  if (face) picture.faces.push_back({{5, 5, 20, 20}, 0, false});
  pictures.data.pictures.push_back(picture);
  pictures.hashes.push_back(apps::picture_hash(image));
  pictures.mirrored.push_back(apps::picture_hash(vision::flip_horizontally(image)));
  pictures.images.push_back(std::move(image));
}

}  // namespace

TEST_CASE("pictures in memory: large ones shrink with their boxes, broken ones are named") {
  const TemporaryFolder folder;
  vision::save_image(folder / "a.png", pattern(200, 100, 1));
  vision::save_image(folder / "b.png", pattern(40, 60, 2));
  folder.write("c.png", "not a picture");
  apps::BoxDataset data;
  data.pictures = {{folder / "a.png", "a.png", "s", 200, 100, {{{20, 10, 40, 30}, 1, false}}},
                   {folder / "c.png", "c.png", "s", 40, 40, {}},
                   {folder / "b.png", "b.png", "s", 40, 60, {}}};
  apps::DetectionPicturesOptions options;
  options.longest_side = 100;
  const auto pictures = apps::load_detection_pictures(data, options);
  REQUIRE(pictures.images.size() == 2);
  CHECK(pictures.images[0].width == 100);
  CHECK(pictures.data.pictures[0].faces[0].box.x == 10);
  CHECK(pictures.data.pictures[0].faces[0].box.height == 15);
  CHECK(pictures.images[1].width == 40);
  REQUIRE(pictures.broken.size() == 1);
  CHECK(pictures.broken[0].path == folder / "c.png");
  for (const int ranks : {2, 5})
    on_threads(ranks, [&](kernels::Communicator& communicator) {
      apps::DetectionPicturesOptions shared = options;
      shared.communicator = &communicator;
      const auto same = apps::load_detection_pictures(data, shared);
      if (apps::fingerprint(same) != apps::fingerprint(pictures) ||
          same.images[0].pixels != pictures.images[0].pixels ||
          same.images[1].pixels != pictures.images[1].pixels ||
          same.broken[0].reason != pictures.broken[0].reason)
        throw std::logic_error("ranks that share the decoding out get something else");
    });
  options.memory_limit = 1000;
  CHECK_THROWS_WITH_AS(apps::load_detection_pictures(data, options),
                       doctest::Contains("choose a smaller side or fewer pictures"),
                       std::runtime_error);
  auto other = pictures;
  other.data.pictures[0].faces[0].label = 0;
  CHECK(apps::fingerprint(pictures) != apps::fingerprint(other));
}

TEST_CASE("copies in another size, light, compression or mirrored are one photograph") {
  std::vector<apps::PictureHash> hashes, mirrored;
  const auto add = [&](const Image& image) {
    hashes.push_back(apps::picture_hash(image));
    mirrored.push_back(apps::picture_hash(vision::flip_horizontally(image)));
  };
  for (std::uint64_t seed = 0; seed < 20; ++seed) add(pattern(120, 90, seed));
  const Image original = pattern(120, 90, 7);
  add(vision::resize(original, 61, 47));
  add(vision::flip_horizontally(original));
  Image darker = original;
  apps::Light light;
  light.brightness = 0.7;
  light.gamma = 1.2;
  apps::apply_light(darker, light);
  add(darker);
  Image poor = original;
  apps::apply_camera(poor, {2, 1, 8, 25, 1});
  add(poor);
  const auto groups = apps::photograph_groups(hashes, mirrored);
  for (int i = 0; i < 20; ++i) CHECK(groups[static_cast<std::size_t>(i)] == i);
  for (std::size_t i = 20; i < groups.size(); ++i) CHECK(groups[i] == 7);
}

TEST_CASE("the split keeps look-alikes together, takes its share of each source, leaves one out") {
  apps::DetectionPictures pictures;
  for (std::uint64_t i = 0; i < 40; ++i) add_pattern(pictures, "one", i, true);
  for (std::uint64_t i = 100; i < 120; ++i) add_pattern(pictures, "two", i, true);
  for (std::uint64_t i = 200; i < 220; ++i) add_pattern(pictures, "nobody", i, false);
  for (std::uint64_t i = 0; i < 10; ++i) add_pattern(pictures, "two", i, true);  // copies of "one"
  apps::DetectionSplitOptions options;
  options.validation = 0.25;
  const auto split = apps::split_detection(pictures, options);
  CHECK(split.look_alikes == 10);
  CHECK(split.unused.empty());
  CHECK(split.train.size() + split.validation.size() == 90);
  const std::set<int> validation(split.validation.begin(), split.validation.end());
  for (int i = 0; i < 10; ++i) CHECK(validation.contains(i) == validation.contains(80 + i));
  const auto count = [&](int begin, int end) {
    return std::count_if(split.validation.begin(), split.validation.end(),
                         [&](int i) { return i >= begin && i < end; });
  };
  CHECK(count(40, 60) == 5);
  CHECK(count(60, 80) == 5);
  CHECK(apps::split_detection(pictures, options).validation == split.validation);
  options.seed = 43;
  CHECK(apps::split_detection(pictures, options).validation != split.validation);

  options.leave_out = {"two"};
  const auto without = apps::split_detection(pictures, options);
  CHECK(without.unused.size() == 10);  // of "one", but seen in "two"
  CHECK(without.validation.size() == 35);
  for (const int index : without.train) CHECK((index < 40 || (index >= 60 && index < 80)));
  options.leave_out = {"three"};
  CHECK_THROWS_WITH_AS(apps::split_detection(pictures, options),
                       doctest::Contains("three: matches no source"), std::runtime_error);
  options.leave_out = {"one", "two"};
  CHECK_THROWS_WITH_AS(apps::split_detection(pictures, options),
                       doctest::Contains("part has no picture with a face"), std::runtime_error);
}

TEST_CASE("a crop's faces lie where the crop shows them") {
  apps::DetectionPictures pictures;
  add_square(pictures, 300, 200, {{40, 60, 50, 50}, 0, false});
  add_square(pictures, 90, 220, {{10, 150, 30, 30}, 1, false});
  add_square(pictures, 640, 480, {{500, 20, 100, 120}, 2, false});
  const std::vector<int> chosen{0, 1, 2};
  int faces = 0, ignored = 0, larger = 0;
  std::set<int> labels;
  for (std::uint64_t step = 0; step < 150; ++step) {
    const auto crop = apps::make_crop(pictures, chosen, {128, 0.5, 9}, step, 3);
    REQUIRE(crop.image.width == 128);
    REQUIRE(crop.image.height == 128);
    for (const FaceBox& face : crop.faces) {
      CHECK(face.box.x >= 0);
      CHECK(face.box.y >= 0);
      CHECK(face.box.x + face.box.width <= 128.001f);
      CHECK(face.box.y + face.box.height <= 128.001f);
      if (face.ignored) {
        ++ignored;
        continue;
      }
      ++faces;
      labels.insert(face.label);
      CHECK(std::min(face.box.width, face.box.height) >= apps::kLeastFace);
      if (face.box.width < 12 || face.box.height < 12) continue;
      ++larger;
      // Warmer inside the box than just outside it, in whatever light.
      const auto redness = [&](float x, float y) {
        const int column = std::clamp(static_cast<int>(x), 0, 127);
        const int row = std::clamp(static_cast<int>(y), 0, 127);
        const std::uint8_t* pixel = crop.image.at(column, row);
        return pixel[0] - pixel[2];
      };
      const float x = face.box.x + face.box.width / 2, y = face.box.y + face.box.height / 2;
      const int inside = redness(x, y);
      if (inside < 40) continue;  // grey, or nearly dark
      CHECK(redness(face.box.x + face.box.width * 0.2f, y) > inside / 2 - 20);
      CHECK(redness(x, face.box.y + face.box.height * 0.8f) > inside / 2 - 20);
    }
  }
  CHECK(faces > 100);
  CHECK(larger > 50);
  CHECK(ignored > 5);
  CHECK(labels == std::set<int>{0, 1, 2});
}

TEST_CASE("crops and batches depend on seed, step and index alone, on any number of threads") {
  apps::DetectionPictures pictures;
  add_square(pictures, 300, 200, {{40, 60, 50, 50}, 0, false});
  add_square(pictures, 90, 220, {{10, 150, 30, 30}, 1, false});
  const std::vector<int> chosen{0, 1};
  const auto pixels = [&](std::uint64_t seed, std::uint64_t step, std::uint64_t index) {
    return apps::make_crop(pictures, chosen, {64, 0.5, seed}, step, index).image.pixels;
  };
  CHECK(pixels(1, 2, 3) == pixels(1, 2, 3));
  CHECK(pixels(1, 2, 3) != pixels(2, 2, 3));
  CHECK(pixels(1, 2, 3) != pixels(1, 3, 3));
  CHECK(pixels(1, 2, 3) != pixels(1, 2, 4));
  const int before = threads();
  std::vector<std::vector<float>> runs;
  for (const int count : {1, 3}) {
    set_threads(count);
    apps::DetectionLoader loader(pictures, chosen, {{64, 0.5, 5}, 4}, 10, 22);
    std::vector<float> all;
    for (int step = 10; step < 22; ++step) {
      const auto batch = loader.next();
      const auto values = batch.inputs.values();
      all.insert(all.end(), values.begin(), values.end());
      CHECK(batch.faces.size() == 4);
    }
    runs.push_back(std::move(all));
  }
  set_threads(before);
  CHECK(runs[0] == runs[1]);
  // Cut into shards, some of them made elsewhere.
  apps::DetectionLoader front(pictures, chosen, {{64, 0.5, 5}, 4, {0, 1, 3}}, 10, 22);
  apps::DetectionLoader back(pictures, chosen, {{64, 0.5, 5}, 4, {1, 3, 3}}, 10, 22);
  std::vector<float> joined;
  for (int step = 10; step < 22; ++step)
    for (apps::DetectionLoader* loader : {&front, &back, &back}) {
      const auto values = loader->next().inputs.values();
      joined.insert(joined.end(), values.begin(), values.end());
    }
  CHECK(joined == runs[0]);
  // Left before its batches are taken, it ends.
  apps::DetectionLoader abandoned(pictures, chosen, {{64, 0.5, 5}, 4}, 0, 1000);
}

namespace {

// Sees the same faces in every picture.
class FixedTeacher : public vision::FaceDetector {
 public:
  explicit FixedTeacher(std::vector<vision::Detection> faces) : faces_(std::move(faces)) {}
  std::vector<vision::Detection> detect(const vision::ImageView&) override { return faces_; }
  std::string name() const override { return "fixed"; }
  float margin() const override { return 0; }

 private:
  std::vector<vision::Detection> faces_;
};

apps::TeacherOptions teacher_of(std::vector<vision::Detection> faces, double sure) {
  apps::TeacherOptions options;
  options.make = [faces] { return std::make_unique<FixedTeacher>(faces); };
  options.sure = sure;
  return options;
}

}  // namespace

TEST_CASE("a teacher boxes what nobody has boxed, and what it sees beside boxes is ignored") {
  apps::DetectionPictures pictures;
  for (std::uint64_t i = 0; i < 3; ++i) add_pattern(pictures, "some", i, i != 1);
  add_pattern(pictures, "unboxed", 3, false);
  add_pattern(pictures, "unused", 4, false);
  for (const std::size_t i : {3u, 4u}) {
    pictures.data.pictures[i].without_boxes = true;
    pictures.data.pictures[i].class_of_faces = 1;
  }
  std::vector<int> chosen{0, 1, 3};
  // The first lies in the box at (5, 5) of 20 x 20; the last, on the first, is a part of it.
  const std::vector<vision::Detection> seen{
      {{8, 8, 10, 12}, .9f}, {{40, 10, 10, 10}, .5f}, {{30, 25, 8, 8}, .3f}, {{9, 9, 5, 5}, .4f}};
  const auto taught = apps::teach(pictures, chosen, teacher_of(seen, 0.6));
  const auto faces = [&](std::size_t i) { return pictures.data.pictures[i].faces; };
  CHECK(faces(0).size() == 1);
  CHECK(faces(1).empty());  // background
  CHECK(faces(2).size() == 1);
  CHECK(faces(4).empty());  // not chosen
  REQUIRE(faces(3).size() == 3);
  CHECK(faces(3)[0].label == 1);
  CHECK_FALSE(faces(3)[0].ignored);
  CHECK(faces(3)[1].ignored);
  CHECK(faces(3)[2].ignored);
  CHECK(chosen == std::vector<int>{0, 1, 3});
  CHECK(taught.faces == 1);
  CHECK(taught.ignored == 2);
  CHECK(taught.left_out == 0);

  // Sure of two: beside a box the one that is apart from it is ignored; of the class of the folder
  // may be either, so its picture is of no use.
  std::vector<int> again{0, 4};
  const auto more = apps::teach(pictures, again, teacher_of(seen, 0.45));
  REQUIRE(faces(0).size() == 2);
  CHECK(faces(0)[1].ignored);
  CHECK(faces(0)[1].box.x == 40);
  CHECK(again == std::vector<int>{0});
  CHECK(more.left_out == 1);
  CHECK_THROWS_AS(apps::teach(pictures, again, teacher_of(seen, 0.1)), std::invalid_argument);
}

TEST_CASE("pictures without boxes are for training alone, and never beside their look-alike") {
  apps::DetectionPictures pictures;
  for (std::uint64_t i = 0; i < 20; ++i) add_pattern(pictures, "boxed", i, true);
  apps::DetectionSplitOptions options;
  options.validation = 0.5;
  const auto before = apps::split_detection(pictures, options);
  for (std::uint64_t i = 0; i < 40; ++i) {
    add_pattern(pictures, "unboxed", i, false);
    pictures.data.pictures.back().without_boxes = true;
  }
  const auto split = apps::split_detection(pictures, options);
  CHECK(split.validation == before.validation);
  CHECK(split.unused.size() == before.validation.size());
  for (const int index : split.unused)
    CHECK(std::count(split.validation.begin(), split.validation.end(), index - 20) == 1);
  CHECK(split.train.size() + split.unused.size() + split.validation.size() == 60);
}

TEST_CASE("a picture of a few pixels makes crops too") {
  apps::DetectionPictures pictures;
  add_square(pictures, 9, 6, {{2, 1, 4, 4}, 0, false});
  const std::vector<int> chosen{0};
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto crop = apps::make_crop(pictures, chosen, {256, 0.5, 1}, 0, i);
    CHECK(crop.image.width == 256);
  }
}
