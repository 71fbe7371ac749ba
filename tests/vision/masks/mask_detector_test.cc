#include "vision/masks/mask_detector.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "base/data_files.h"
#include "base/file.h"
#include "tests/vision/masks/saved_model.h"
#include "vision/drawn/face_generator.h"
#include "vision/haar/haar_model.h"
#include "vision/masks/face_verification.h"
#include "vision/masks/label_fusion.h"
#include "vision/masks/mask_classifier.h"
#include "vision/masks/second_look.h"

using namespace maskwatch;

namespace {

std::span<const std::uint8_t> bytes_of(const std::string& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

// A part of a face at every other place: no detector is needed to tell the images apart.
Image striped(int width, int height) {
  Image image(width, height);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * 31 + i / 97);
  return image;
}

std::vector<vision::Classification> looked_twice(vision::MaskClassifier& classifier,
                                                 const Image& image, const LocatedFaces& found) {
  const vision::FacesInView look{image, &found};
  auto classes = classifier.classify(std::span(&look, 1));
  vision::look_again(classifier, std::span(&look, 1), classes);
  return classes[0];
}

MaskDetectorOptions whole_pictures(const SavedModel& model) {
  MaskDetectorOptions options;
  options.model = model.path();
  options.face_detector = "none";
  return options;
}

constexpr const char* kPhotograph = "/usr/share/doc/opencv-doc/examples/data/messi5.jpg";

// And the detectors that ship.
bool photograph_is_there() {
  if (find_data_file("models/face_detector.safetensors") &&
      vision::find_haar_cascade("haarcascade_frontalface_alt2.xml") &&
      std::filesystem::exists(kPhotograph))
    return true;
  MESSAGE("SKIPPED, NOT TESTED: the face detector that ships, opencv-data or " << kPhotograph
                                                                               << " is not there");
  return false;
}

void check_same(const std::vector<Face>& a, const std::vector<Face>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].box.x == b[i].box.x);
    CHECK(a[i].box.width == b[i].box.width);
    CHECK(a[i].score == b[i].score);
    CHECK(a[i].label == b[i].label);
    REQUIRE(a[i].probabilities.size() == b[i].probabilities.size());
    for (std::size_t c = 0; c < a[i].probabilities.size(); ++c)
      CHECK(a[i].probabilities[c] == doctest::Approx(b[i].probabilities[c]).epsilon(1e-5));
  }
}

}  // namespace

TEST_CASE("a face says where it is, what it is called and what that means") {
  const SavedModel model;
  MaskDetector detector(whole_pictures(model));
  const auto faces = detector.detect(striped(90, 70));
  REQUIRE(faces.size() == 1);
  const Face& face = faces[0];
  CHECK(face.box.width == 90);
  CHECK(face.box.height == 70);
  CHECK(face.score == 1);
  REQUIRE(face.probabilities.size() == detector.labels().size());
  const auto likeliest = std::max_element(face.probabilities.begin(), face.probabilities.end());
  CHECK(face.label_index == likeliest - face.probabilities.begin());
  CHECK(face.probability == *likeliest);
  CHECK(face.label == detector.labels()[static_cast<std::size_t>(face.label_index)]);
  CHECK(face.meaning == vision::meaning_of(face.label));
  CHECK(face_text(face) == vision::result_text(face.label, face.meaning, face.probability));
}

TEST_CASE("what labels mean may be said to the detector, and is shown") {
  const SavedModel model(nn::HeadKind::mask, {"A", "B", "C"});
  MaskDetectorOptions options = whole_pictures(model);
  options.meanings = {
      {"A", LabelMeaning::mask}, {"B", LabelMeaning::mask}, {"C", LabelMeaning::background}};
  MaskDetector detector(options);
  CHECK(detector.labels() == std::vector<std::string>{"A", "B"});
  CHECK(detector.all_labels() == std::vector<std::string>{"A", "B", "C"});
  CHECK(detector.unknown_labels().empty());
  CHECK(MaskDetector(whole_pictures(model)).unknown_labels().size() == 3);
  const auto faces = detector.classify(striped(90, 70), {{{{0, 0, 90, 70}, 1}}, 0});
  for (const Face& face : faces) CHECK(face_text(face).starts_with("Mask: "));
}

TEST_CASE("the answer is the likeliest meaning, though a label of another may be likelier") {
  const std::vector<std::string> labels{"A", "B", "C", "D", "E", "F"};
  const SavedModel model(nn::HeadKind::mask, labels);
  MaskDetectorOptions options = whole_pictures(model);
  const Face alone = MaskDetector(options).detect(striped(90, 70)).at(0);
  REQUIRE(alone.probability < .5f);
  for (const std::string& label : labels) options.meanings[label] = LabelMeaning::no_mask;
  options.meanings[alone.label] = LabelMeaning::mask;
  const Face face = MaskDetector(options).detect(striped(90, 70)).at(0);
  CHECK(face.probabilities == alone.probabilities);
  CHECK(face.meaning == LabelMeaning::no_mask);
  CHECK(face.label != alone.label);
  CHECK(face.probability == doctest::Approx(1 - alone.probability));
}

TEST_CASE("by default a detector is made of the models that ship") {
  if (!photograph_is_there()) return;
  MaskDetector detector;
  CHECK(detector.face_detector_name() == "ours (face_detector.safetensors)");
  CHECK(detector.labels().size() >= 2);
  const Image photograph = load_image(kPhotograph);
  const LocatedFaces found = detector.find_faces(photograph);
  const auto faces = detector.detect(photograph);
  check_same(faces, detector.classify(photograph, found));
  REQUIRE(!faces.empty());
  CHECK(faces[0].meaning == LabelMeaning::no_mask);
  // The answer is the two networks' together.
  vision::MaskClassifier classifier(shipped_model_file());
  const auto joined =
      vision::verify_faces(vision::fuse_labels(looked_twice(classifier, photograph, found),
                                               classifier.meanings(), found),
                           classifier.meanings(), found, .5f);
  REQUIRE(joined.size() == faces.size());
  for (std::size_t i = 0; i < faces.size(); ++i) {
    CHECK(faces[i].score == joined[i].score);
    CHECK(faces[i].probability ==
          doctest::Approx(joined[i].classification.probability()).epsilon(1e-5));
  }
  const auto all = detector.detect_all(std::vector<vision::ImageView>{photograph});
  REQUIRE(all.size() == 1);
  check_same(all[0], faces);
}

TEST_CASE("images one by one, together, from a file and from its bytes give the same faces") {
  const SavedModel model;
  MaskDetector detector(whole_pictures(model));
  const std::vector<Image> images{striped(90, 70), striped(64, 64), striped(31, 200)};
  const auto together = detector.detect_all(vision::views_of(images));
  REQUIRE(together.size() == images.size());
  for (std::size_t i = 0; i < images.size(); ++i)
    check_same(together[i], detector.detect(images[i]));
  const std::string path =
      (std::filesystem::temp_directory_path() / "maskwatch_detector_test.png").string();
  save_image(path, images[0]);
  check_same(detector.detect_file(path), together[0]);
  check_same(detector.detect_encoded(bytes_of(read_file(path))), together[0]);
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(detector.detect_file("lost.png"), doctest::Contains("lost.png"),
                       std::runtime_error);
  CHECK_THROWS_AS(detector.detect_encoded({}), std::runtime_error);
  CHECK_THROWS_AS(detector.detect(Image()), std::invalid_argument);
}

TEST_CASE("pixels in other memory, in rows that lie apart, have the faces of their copy") {
  if (!photograph_is_there()) return;
  const Image photograph = load_image(kPhotograph);
  for (const std::string face : {"ours", "haar", "none"}) {
    CAPTURE(face);
    MaskDetectorOptions options;
    options.face_detector = face;
    MaskDetector detector(options);
    for (const Image& picture : {photograph, vision::to_grey(photograph)}) {
      const int channels = picture.channels;
      const vision::ImageView part(picture.at(3, 2), picture.width - 9, picture.height - 5,
                                   channels, static_cast<std::size_t>(picture.width) * channels);
      const auto faces = detector.detect(part);
      CHECK(!faces.empty());
      check_same(faces, detector.detect(vision::copy_of(part)));
    }
  }
}

TEST_CASE("a grey image is answered as its RGB copy") {
  const SavedModel model;
  MaskDetector detector(whole_pictures(model));
  const Image grey = vision::to_grey(striped(90, 70)), rgb = vision::to_rgb(grey);
  check_same(detector.detect(grey), detector.detect(rgb));
  check_same(detector.classify(grey, detector.find_faces(grey), vision::View::mirrored),
             detector.classify(rgb, detector.find_faces(rgb), vision::View::mirrored));
  const auto together = detector.detect_all(std::vector<vision::ImageView>{grey, rgb});
  check_same(together[0], together[1]);
}

TEST_CASE("a class of background is no answer: what it means is that there is no face") {
  const SavedModel knows_background(
      nn::HeadKind::mask, {"with_mask", "background", "without_mask", "mask_worn_wrongly"});
  MaskDetectorOptions options = whole_pictures(knows_background);
  MaskDetector whole(options);
  CHECK(whole.labels() ==
        std::vector<std::string>{"with_mask", "without_mask", "mask_worn_wrongly"});
  CHECK(whole.meanings() ==
        std::vector{LabelMeaning::mask, LabelMeaning::no_mask, LabelMeaning::worn_wrongly});
  const Image image = striped(90, 70);
  const std::vector<Face> faces = whole.detect(image);
  REQUIRE(faces.size() == 1);  // nobody has found it: it is taken for one
  CHECK(faces[0].probabilities.size() == 3);
  CHECK(faces[0].label == whole.labels()[static_cast<std::size_t>(faces[0].label_index)]);

  // The same place, found by a detector of probabilities.
  LocatedFaces found = whole.find_faces(image);
  found.assumed = false;
  found.labels = {"with_mask", "without_mask"};
  found.probabilities = {{.5f, .5f}};
  vision::MaskClassifier classifier(knows_background.path());
  std::size_t left = 0;
  for (const float score : {.001f, .4f, .5f, .6f, .999f}) {
    found.faces[0].score = score;
    const auto verified = vision::verify_faces(looked_twice(classifier, image, found),
                                               classifier.meanings(), found, options.confidence);
    const auto classified = whole.classify(image, found);
    CAPTURE(score);
    REQUIRE(classified.size() == verified.size());
    if (!verified.empty()) CHECK(classified[0].score == verified[0].score);
    left += verified.size();
  }
  CHECK(left > 0);
  CHECK(left < 5);
  const SavedModel nothing_else(nn::HeadKind::mask, {"background", "Background"});
  CHECK_THROWS_WITH_AS(MaskDetector(whole_pictures(nothing_else)), doctest::Contains("background"),
                       std::runtime_error);
}

TEST_CASE("a mirrored look is a look at the mirrored image") {
  const SavedModel model;
  MaskDetector detector(whole_pictures(model));
  const Image image = striped(64, 64);
  check_same(detector.classify(image, detector.find_faces(image), vision::View::mirrored),
             detector.detect(vision::flip_horizontally(image)));
}

TEST_CASE("models and face detectors from bytes") {
  const SavedModel model;
  const auto cascade = vision::find_haar_cascade("haarcascade_frontalface_alt2.xml");
  MaskDetectorOptions options = whole_pictures(model);
  MaskDetector by_path(options);
  const std::string contents = read_file(model.path());
  options.model = "not looked at";
  options.model_bytes = bytes_of(contents);
  MaskDetector by_bytes(options);
  check_same(by_bytes.detect(striped(90, 70)), by_path.detect(striped(90, 70)));
  if (cascade) {
    const std::string xml = read_file(*cascade);
    options.face_detector_bytes = bytes_of(xml);
    MaskDetector from_xml(options);
    by_path.use_face_detector(*cascade);
    const Image drawn = vision::draw_face(vision::random_face(7, false), 320, 240).picture;
    check_same(from_xml.detect(drawn), by_path.detect(drawn));
  }
  const std::string nonsense = "no model";
  options.face_detector_bytes = bytes_of(nonsense);
  CHECK_THROWS_WITH_AS(MaskDetector{options}, doctest::Contains("face detector: "),
                       std::runtime_error);
  options.face_detector_bytes = {};
  options.model_bytes = bytes_of(nonsense);
  CHECK_THROWS_WITH_AS(MaskDetector{options}, doctest::Contains("model: "), std::runtime_error);
}

TEST_CASE("options that make no sense are refused") {
  const SavedModel model;
  const auto with = [&](auto change) {
    MaskDetectorOptions options = whole_pictures(model);
    change(options);
    MaskDetector detector(options);
  };
  CHECK_THROWS_AS(with([](auto& o) { o.confidence = 1.5f; }), std::invalid_argument);
  CHECK_THROWS_AS(with([](auto& o) { o.capacity = 0; }), std::invalid_argument);
  CHECK_THROWS_AS(with([](auto& o) { o.threads = -1; }), std::invalid_argument);
  CHECK_THROWS_WITH_AS(with([](auto& o) { o.face_detector = "magic"; }),
                       doctest::Contains("is not a face detector"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(with([](auto& o) { o.model = "lost.safetensors"; }),
                       doctest::Contains("lost.safetensors"), std::runtime_error);
}

TEST_CASE("a face detector that cannot be made leaves the old one") {
  const SavedModel model;
  MaskDetector detector(whole_pictures(model));
  const std::string name = detector.face_detector_name();
  CHECK_THROWS_AS(detector.use_face_detector("lost.xml"), std::runtime_error);
  CHECK(detector.face_detector_name() == name);
  CHECK(detector.detect(striped(64, 64)).size() == 1);
}

TEST_CASE("faces are drawn in the colour of what they mean") {
  Image image(200, 200);
  Face face;
  face.box = {40, 60, 100, 80};
  face.label = "mask_worn_wrongly";
  face.meaning = LabelMeaning::worn_wrongly;
  face.probability = .9f;
  draw(image, std::vector{face});
  const vision::Color amber = vision::color_of(LabelMeaning::worn_wrongly);
  const std::uint8_t* edge = image.at(40, 100);
  CHECK((edge[0] == amber.r && edge[1] == amber.g && edge[2] == amber.b));
  CHECK(image.at(90, 100)[0] == 0);
}
