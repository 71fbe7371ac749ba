#include "apps/masking/face_finder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "vision/drawn/face_generator.h"
#include "vision/faces/landmarks.h"
#include "vision/haar/haar_model.h"

using namespace maskwatch;

namespace {

using vision::Box;
using vision::Image;
using vision::LandmarkFit;

// Points on a line through the box; they hold where the box is wider than it says.
class DrawnLine : public vision::LandmarkFinder {
 public:
  explicit DrawnLine(float least_width) : least_width_(least_width) {}
  LandmarkFit find(const Image&, const Box& face) override {
    LandmarkFit fit;
    for (std::size_t i = 0; i < 68; ++i) fit.points[i] = {face.x + static_cast<float>(i), face.y};
    fit.spread = face.width < least_width_ ? 1.f : 0.f;
    return fit;
  }
  bool holds(const LandmarkFit& fit) const override { return fit.spread < .5f; }
  std::unique_ptr<LandmarkFinder> copy() const override {
    return std::make_unique<DrawnLine>(*this);
  }
  std::string name() const override { return "line"; }

 private:
  float least_width_;
};

// Faces of the given heights side by side on one backdrop, and where they are.
std::vector<vision::DrawnFace> draw_row(Image& scene, const std::vector<float>& heights) {
  std::vector<vision::DrawnFace> faces;
  float x = 40;
  for (std::size_t i = 0; i < heights.size(); ++i) {
    vision::FaceParameters face;
    face.light_strength = .3f;
    const float width = heights[i] * .9f;
    faces.push_back(vision::draw_face_into(scene, {x, 60, width, heights[i]}, face));
    x += width * 1.8f;
  }
  return faces;
}

}  // namespace

TEST_CASE("faces without landmarks are counted, those with them moved to drawing's coordinates") {
  const Image photo(100, 80);
  const auto found = apps::make_face_finder("none", DrawnLine(50))(photo, "name", 1);
  REQUIRE(found.faces.size() == 1);
  CHECK(found.without_landmarks == 0);
  CHECK(found.faces[0][3].x == 3.5f);  // a pixel's middle lies half a pixel from its edge
  CHECK(found.faces[0][3].y == .5f);
  const auto lost = apps::make_face_finder("none", DrawnLine(500))(photo, "name", 1);
  CHECK(lost.faces.empty());
  CHECK(lost.without_landmarks == 1);
}

TEST_CASE("drawn faces and their landmarks are found, largest first, small ones left alone") {
  if (!std::filesystem::exists(vision::kDlibLandmarkFile) ||
      !vision::find_haar_cascade("haarcascade_frontalface_alt2.xml")) {
    MESSAGE("SKIPPED, NOT TESTED: libdlib-data or opencv-data is not installed");
    return;
  }
  vision::FaceParameters backdrop;
  Image scene = vision::draw_backdrop(backdrop, 900, 420);
  const auto truth = draw_row(scene, {170, 240, 60});
  const auto dlib = vision::make_landmark_finder("dlib");
  CHECK(dlib->licence() == vision::kLandmarkLicence);
  const auto finder = apps::make_face_finder("haar", *dlib);
  const auto found = finder(scene, "scene", 1);
  REQUIRE(found.faces.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& wanted = truth[1 - i].landmarks;
    const auto& points = found.faces[i];
    float sum = 0;
    for (std::size_t p = 0; p < 68; ++p)
      sum += std::hypot(points[p].x - wanted[p].x, points[p].y - wanted[p].y);
    const float eyes = std::hypot(wanted[36].x - wanted[45].x, wanted[36].y - wanted[45].y);
    CAPTURE(i);
    CHECK(sum / 68 < .12f * eyes);  // a drawing is no photograph
  }
  const Image nothing = vision::draw_backdrop(backdrop, 300, 200);
  const auto none = finder(nothing, "nothing", 1);
  CHECK(none.faces.empty());
  CHECK(none.without_landmarks == 0);
}

TEST_CASE("unknown detectors are refused at once") {
  CHECK_THROWS_AS(apps::make_face_finder("eyes", DrawnLine(1)), std::invalid_argument);
}
