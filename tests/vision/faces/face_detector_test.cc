#include "vision/faces/face_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>

#include "base/data_files.h"
#include "tests/shared_data.h"
#include "tests/vision/support.h"
#include "vision/drawn/drawn_video.h"
#include "vision/drawn/face_generator.h"
#include "vision/haar/haar_model.h"
#include "vision/image/draw.h"

using namespace maskwatch;

using vision::Detection;

namespace {

// Whether the detector that ships can be tested.
bool ours_is_there() {
  if (find_data_file("models/face_detector.safetensors")) return true;
  MESSAGE("SKIPPED, NOT TESTED: data/models/face_detector.safetensors is not there");
  return false;
}

vision::LocatedFaces faces_of(vision::FaceDetector& detector, const std::string& picture) {
  CAPTURE(picture);
  return detector.locate(vision::load_image(picture));
}

// Index of the surest face whose middle lies in `box`; as many as there are if there is none.
std::size_t first_in(const std::vector<Detection>& faces, const vision::Box& box) {
  const auto found = std::find_if(faces.begin(), faces.end(), [&](const Detection& face) {
    return vision::contains(box, vision::center(face.box));
  });
  return static_cast<std::size_t>(found - faces.begin());
}

}  // namespace

TEST_CASE("face detectors by name") {
  const vision::Image image(60, 40);
  const auto whole = vision::make_face_detector("none");
  const auto faces = whole->detect(image);
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].box.width == 60);
  CHECK(faces[0].box.height == 40);
  CHECK(whole->margin() == 0);
  CHECK_THROWS_AS(whole->detect(vision::Image()), std::invalid_argument);
  CHECK_THROWS_AS(vision::make_face_detector("magic"), std::invalid_argument);
  CHECK_THROWS_AS(vision::make_face_detector("none", -0.1f), std::invalid_argument);
  CHECK_THROWS_WITH_AS(vision::make_face_detector("lost.xml"), doctest::Contains("lost.xml"),
                       std::runtime_error);
  CHECK_THROWS_WITH_AS(vision::make_face_detector("lost.safetensors"),
                       doctest::Contains("lost.safetensors"), std::runtime_error);
}

TEST_CASE(
    "a detector of another program is named, and one of another name is read by its contents") {
  const vision_test::Folder folder;
  std::ofstream(folder.file("rfb.onnx"), std::ios::binary) << "\x08\x04\x12\x07pytorch\x1A\x03"
                                                           << "1.2 and the graph";
  CHECK_THROWS_WITH_AS(vision::make_face_detector(folder.file("rfb.onnx")),
                       doctest::Contains("it is an ONNX model; convert it first"),
                       std::runtime_error);
  if (!ours_is_there()) return;
  std::filesystem::copy_file(*find_data_file("models/face_detector.safetensors"),
                             folder.file("detector.bin"));
  CHECK(vision_test::says(vision::make_face_detector(folder.file("detector.bin"))->name(),
                          "detector.bin"));
}

TEST_CASE("every detector refuses an empty picture") {
  const auto refuses = [](const std::string& name) {
    CAPTURE(name);
    CHECK_THROWS_AS(vision::make_face_detector(name)->detect(vision::Image()),
                    std::invalid_argument);
  };
  refuses("none");
  if (vision::find_haar_cascade("haarcascade_frontalface_alt2.xml")) refuses("haar");
  if (ours_is_there()) refuses("ours");
  if (find_data_file("weights/rfb_320.safetensors")) refuses("ssd");
}

TEST_CASE("the crop of a face is RGB, of a grey image too") {
  vision::Image grey(90, 70, 1);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i)
    grey.pixels[i] = static_cast<std::uint8_t>(i * 31 + i / 97);
  const vision::Box box{10, 5, 40, 50};
  const vision::Image crop = vision::face_crop(grey, box, .1f, 32);
  CHECK(crop.width == 32);
  CHECK(crop.height == 32);
  CHECK(crop.channels == 3);
  CHECK(crop.pixels == vision::face_crop(vision::to_rgb(grey), box, .1f, 32).pixels);
  CHECK_THROWS_AS(vision::face_crop(grey, {200, 5, 40, 50}, .1f, 32), std::invalid_argument);
  CHECK_THROWS_AS(vision::face_crop(vision::Image(), box, .1f, 32), std::invalid_argument);
}

TEST_CASE("the detector called haar finds drawn faces with masks too, each once") {
  if (!vision::find_haar_cascade("haarcascade_lefteye_2splits.xml")) {
    MESSAGE("SKIPPED, NOT TESTED: opencv-data is not installed");
    return;
  }
  const auto haar = vision::make_face_detector("haar");
  CHECK(haar->name() == "haar (haarcascade_frontalface_alt2.xml) and pairs of eyes");
  int bare = 0, masked = 0, twice = 0, wrong = 0;
  for (std::uint64_t seed = 0; seed < 16; ++seed)
    for (const bool with_mask : {false, true}) {
      const auto drawn = vision::draw_face(vision::random_face(seed, with_mask), 240, 240);
      int hits = 0;
      for (const Detection& face : haar->detect(drawn.picture)) {
        const bool hit = vision::intersection_over_union(face.box, drawn.box) > .3f;
        hits += hit;
        wrong += !hit;
        CHECK(face.box.x >= 0);
        CHECK(face.box.y + face.box.height <= 240);
      }
      (with_mask ? masked : bare) += hits > 0;
      twice += hits > 1;
    }
  MESSAGE("of 16 faces each: bare " << bare << ", masked " << masked << ", wrong " << wrong);
  CHECK(bare >= 12);
  CHECK(masked >= 6);
  CHECK(twice <= 1);
  CHECK(wrong <= 2);
}

TEST_CASE("of a large picture the small may be left out, and only that") {
  if (!vision::find_haar_cascade("haarcascade_lefteye_2splits.xml")) {
    MESSAGE("SKIPPED, NOT TESTED: opencv-data is not installed");
    return;
  }
  const auto all = vision::make_face_detector("haar"),
             large = vision::make_face_detector("haar", .5f, 240);
  int found = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    vision::Image picture(1200, 960);
    std::fill(picture.pixels.begin(), picture.pixels.end(), std::uint8_t{128});
    vision::paste(picture, vision::draw_face(vision::random_face(seed, false), 900, 900).picture, 0,
                  0);
    vision::paste(picture, vision::draw_face(vision::random_face(seed, false), 130, 130).picture,
                  1000, 0);
    const auto small = [](const Detection& face) { return face.box.width < 120; };
    const auto of_all = all->detect(picture), of_large = large->detect(picture);
    found += std::any_of(of_all.begin(), of_all.end(), small);
    CHECK(std::none_of(of_large.begin(), of_large.end(), small));
    // What is large enough is found as before.
    for (const Detection& face : of_all) {
      if (face.box.width < 240) continue;
      CHECK(std::any_of(of_large.begin(), of_large.end(), [&](const Detection& other) {
        return vision::intersection_over_union(face.box, other.box) > .7f;
      }));
    }
  }
  CHECK(found >= 2);
}

TEST_CASE("ours finds the face of a photograph, says what it wears, and finds none where none is") {
  const std::string pictures = "/usr/share/doc/opencv-doc/examples/data/";
  if (!ours_is_there()) return;
  if (!std::filesystem::exists(pictures + "messi5.jpg")) {
    MESSAGE("SKIPPED, NOT TESTED: " << pictures << " is not there (opencv-doc)");
    return;
  }
  const auto ours = vision::make_face_detector("ours");
  CHECK(ours->name() == "ours (face_detector.safetensors)");
  const auto found = faces_of(*ours, pictures + "messi5.jpg");
  REQUIRE(!found.faces.empty());
  CHECK(first_in(found.faces, {220, 85, 45, 55}) == 0);
  CHECK(found.labels == std::vector<std::string>{"with_mask", "without_mask", "mask_worn_wrongly"});
  REQUIRE(found.probabilities.size() == found.faces.size());
  const auto& probabilities = found.probabilities[0];
  REQUIRE(probabilities.size() == 3);
  CHECK(std::accumulate(probabilities.begin(), probabilities.end(), 0.f) == doctest::Approx(1));
  CHECK(probabilities[1] > .5f);
  CHECK(faces_of(*ours, pictures + "left14.jpg").faces.empty());
}

TEST_CASE("pictures that ours looks at together have the faces that each has alone") {
  if (!ours_is_there()) return;
  // Two sizes, and more of one than a batch holds.
  std::vector<vision::Image> pictures;
  for (const auto& [width, height] : {std::pair(640, 360), {320, 240}}) {
    const vision::DrawnVideo video(width, height, 30, vision::drawn_scene("crowd"));
    for (int i = 0; i < 9; ++i) pictures.push_back(video.frame(30 * i));
  }
  std::swap(pictures[2], pictures[12]);
  pictures.push_back(vision::to_grey(pictures[0]));
  std::vector<vision::ImageView> views(pictures.begin(), pictures.end());
  // With tiles that look closer, too.
  for (const std::optional<int> detail : {std::optional<int>(), std::optional<int>(0)}) {
    const auto ours = vision::make_face_detector("ours", .5f, detail);
    CHECK(ours->batches());
    const auto together = ours->locate_all(views);
    REQUIRE(together.size() == pictures.size());
    std::size_t faces = 0;
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      CAPTURE(i);
      const vision::LocatedFaces alone = ours->locate(pictures[i]);
      CHECK(together[i].labels == alone.labels);
      CHECK(together[i].margin == alone.margin);
      CHECK(together[i].probabilities == alone.probabilities);
      REQUIRE(together[i].faces.size() == alone.faces.size());
      for (std::size_t face = 0; face < alone.faces.size(); ++face, ++faces) {
        const Detection &one = alone.faces[face], &other = together[i].faces[face];
        CHECK(one.score == other.score);
        CHECK(one.box.x == other.box.x);
        CHECK(one.box.y == other.box.y);
        CHECK(one.box.width == other.box.width);
        CHECK(one.box.height == other.box.height);
      }
    }
    CHECK(faces > 20);
    views.emplace_back();
    CHECK_THROWS_AS(ours->locate_all(views), std::invalid_argument);
    views.pop_back();
    CHECK(ours->locate_all({}).empty());
  }
}

TEST_CASE("ours finds masked faces") {
  REQUIRE_SHARED_DATA(folder, "cases/09-masked-face-not-found");
  if (!ours_is_there()) return;
  const auto ours = vision::make_face_detector("ours");
  for (const auto& [name, face] : {std::pair("demo2.jpg", vision::Box{225, 100, 80, 90}),
                                   {"example_01.png", {340, 75, 75, 100}},
                                   {"example_03.png", {260, 120, 120, 130}}}) {
    const std::string picture = name;
    CAPTURE(picture);
    const auto found = faces_of(*ours, folder + "/" + picture);
    const std::size_t there = first_in(found.faces, face);
    REQUIRE(there < found.faces.size());
    CHECK(found.probabilities[there][0] > .5f);
  }
}

TEST_CASE("ours finds no faces on knees, in blurred text and among boxes") {
  REQUIRE_SHARED_DATA(folder, "cases/10-false-faces");
  if (!ours_is_there()) return;
  const auto ours = vision::make_face_detector("ours");
  for (const char* picture : {"text_defocus.jpg", "box_in_scene.png"})
    CHECK(faces_of(*ours, folder + "/" + picture).faces.empty());
  for (const char* picture : {"sample2.jpg", "sample4.jpg"}) {
    const auto found = faces_of(*ours, folder + "/" + picture);
    CAPTURE(std::string(picture));
    CHECK(found.faces.size() >= 2);
    // All heads are in the upper half.
    CHECK(first_in(found.faces, {0, 720, 1920, 800}) == found.faces.size());
  }
}
