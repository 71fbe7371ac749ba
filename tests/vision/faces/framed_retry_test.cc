#include "vision/faces/framed_retry.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

using namespace maskwatch;

using vision::Box;
using vision::Image;

namespace {

// Says what it is told to, for one picture after another, and keeps the pictures.
class Told : public vision::FaceDetector {
 public:
  Told(std::vector<std::vector<vision::Detection>> answers, std::vector<Image>& seen)
      : answers_(std::move(answers)), seen_(seen) {}

  std::vector<vision::Detection> detect(const vision::ImageView& image) override {
    seen_.push_back(vision::copy_of(image));
    return answers_.at(seen_.size() - 1);
  }
  std::string name() const override { return "told"; }
  float margin() const override { return .25f; }

 private:
  std::vector<std::vector<vision::Detection>> answers_;
  std::vector<Image>& seen_;
};

std::vector<vision::Detection> look(std::vector<std::vector<vision::Detection>> answers,
                                    std::vector<Image>& seen, const vision::ImageView& image) {
  const auto detector = vision::retry_framed(std::make_unique<Told>(std::move(answers), seen));
  CHECK(detector->name() == "told");
  CHECK(detector->margin() == .25f);
  return detector->detect(image);
}

}  // namespace

TEST_CASE("where faces are found there is no second look") {
  std::vector<Image> seen;
  const auto faces = look({{{{1, 2, 3, 4}, .9f}}}, seen, Image(50, 40));
  REQUIRE(faces.size() == 1);
  CHECK(faces[0].box.x == 1);
  CHECK(seen.size() == 1);
}

TEST_CASE("the second look is at the picture within a grey frame, its boxes are the picture's") {
  Image image(800, 400);
  for (int y = 0; y < 400; ++y)
    for (int x = 0; x < 800; ++x) image.at(x, y)[0] = x < 400 ? 255 : 0;
  // Within the frame the picture lies at 100, 50 and is 200 x 100: a quarter of its size.
  const std::vector<vision::Detection> second = {
      {{110, 60, 40, 50}, .8f}, {{80, 40, 60, 200}, .7f}, {{10, 10, 30, 30}, .6f}};
  for (const int channels : {3, 1}) {
    std::vector<Image> seen;
    const auto faces = look({{}, second}, seen, channels == 3 ? image : vision::to_grey(image));
    REQUIRE(seen.size() == 2);
    CHECK(seen[1].width == 400);
    CHECK(seen[1].height == 200);
    CHECK(seen[1].channels == channels);
    for (const auto& [x, y] : {std::pair(99, 100), {300, 100}, {200, 49}, {200, 150}})
      CHECK(seen[1].at(x, y)[0] == 127);
    CHECK(seen[1].at(100, 50)[0] != 127);
    CHECK(seen[1].at(299, 149)[0] == 0);
    REQUIRE(faces.size() == 2);  // the third lies in the frame
    CHECK(faces[0].box.x == 40);
    CHECK(faces[0].box.y == 40);
    CHECK(faces[0].box.width == 160);
    CHECK(faces[0].box.height == 200);
    CHECK(faces[0].score == .8f);
    CHECK(faces[1].box.x == 0);
    CHECK(faces[1].box.width == 160);
    CHECK(faces[1].box.height == 400);
  }
}

TEST_CASE("pictures of one pixel can be framed") {
  std::vector<Image> seen;
  CHECK(look({{}, {}}, seen, Image(1, 1)).empty());
  seen.clear();
  CHECK(look({{}, {}}, seen, Image(10000, 1)).empty());
  CHECK(seen.back().height == 3);
}
