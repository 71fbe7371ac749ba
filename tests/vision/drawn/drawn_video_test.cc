#include "vision/drawn/drawn_video.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <stdexcept>

using namespace maskwatch;

namespace {

using vision::DrawnPerson;
using vision::DrawnVideo;
using vision::Image;

// The rectangle of pixels in which two pictures differ clearly.
vision::PixelBox difference(const Image& a, const Image& b) {
  int left = a.width, right = 0, top = a.height, bottom = 0;
  for (int y = 0; y < a.height; ++y)
    for (int x = 0; x < a.width; ++x) {
      if (std::abs(a.at(x, y)[1] - b.at(x, y)[1]) < 25) continue;
      left = std::min(left, x), right = std::max(right, x + 1);
      top = std::min(top, y), bottom = std::max(bottom, y + 1);
    }
  return {left, top, right - left, bottom - top};
}

DrawnPerson somebody(std::vector<vision::WalkPoint> walk) {
  DrawnPerson person;
  person.look = vision::random_face(3, true);
  person.look.yaw = person.look.roll = 0;
  person.walk = std::move(walk);
  return person;
}

}  // namespace

TEST_CASE("people are where the truth says, and masked when it says so") {
  DrawnPerson person = somebody({{0, .3, .4}, {10, .7, .5}});
  person.changes = {5};
  const DrawnVideo video(320, 240, 10, {person});
  CHECK(video.frames() == 100);
  for (const int frame : {0, 49, 50, 99}) {
    const auto truth = video.truth(frame);
    REQUIRE(truth.size() == 1);
    CHECK(truth[0].masked == (frame >= 50));
    CHECK(truth[0].visible == 1);
    CHECK(truth[0].box.x + truth[0].box.width / 2 == doctest::Approx(320 * (.3 + .004 * frame)));
    CHECK(truth[0].box.y + truth[0].box.height / 2 == doctest::Approx(240 * (.4 + .001 * frame)));
  }
  // The same walk with a mask all the time differs before the change, within the face, and not
  // after.
  DrawnPerson masked = person;
  masked.masked = true;
  masked.changes = {};
  const DrawnVideo other(320, 240, 10, {masked});
  const vision::PixelBox mask = difference(video.frame(20), other.frame(20));
  const vision::Box face = video.truth(20)[0].box;
  CHECK(mask.width > face.width * .5f);
  CHECK(mask.x > face.x - .15f * face.width);
  CHECK(mask.x + mask.width < face.x + 1.15f * face.width);
  CHECK(mask.y > face.y + .2f * face.height);
  CHECK(mask.y + mask.height < face.y + 1.15f * face.height);
  CHECK(video.frame(70).pixels == other.frame(70).pixels);
}

TEST_CASE("people come, leave, and stand before each other") {
  const DrawnVideo video(
      320, 240, 10, {somebody({{1, .5, .45}, {4, .5, .45}}), somebody({{2, .5, .5}, {3, .5, .5}})});
  CHECK(video.truth(5).empty());
  CHECK(video.truth(15).size() == 1);
  CHECK(video.truth(41).empty());
  const auto both = video.truth(25);
  REQUIRE(both.size() == 2);
  CHECK(both[0].visible < .2f);
  CHECK(both[1].visible == 1);
  CHECK(video.frame(5).pixels == video.frame(41).pixels);
  CHECK(video.frame(25).pixels != video.frame(15).pixels);
  const DrawnVideo edge(320, 240, 10, {somebody({{0, 0, .5}, {1, 0, .5}})});
  CHECK(edge.truth(0)[0].visible == doctest::Approx(.5).epsilon(.1));
}

TEST_CASE("ready-made scenes can be drawn; what is wrong is refused") {
  for (const std::string& name : vision::drawn_scenes()) {
    const DrawnVideo video(96, 64, 5, vision::drawn_scene(name));
    CHECK(video.frames() >= 50);
    CHECK(video.frame(20).width == 96);
  }
  CHECK_THROWS_AS(vision::drawn_scene("nothing"), std::invalid_argument);
  CHECK_THROWS_AS(DrawnVideo(4, 64, 5, {}), std::invalid_argument);
  CHECK_THROWS_AS(DrawnVideo(64, 64, 0, {}), std::invalid_argument);
  DrawnPerson giant = somebody({});
  giant.height = 3;
  CHECK_THROWS_AS(DrawnVideo(64, 64, 5, {giant}), std::invalid_argument);
  CHECK(DrawnVideo(64, 64, 5, {}).frames() == 0);
}
