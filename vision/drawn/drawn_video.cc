#include "vision/drawn/drawn_video.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

// How far hair and shoulders reach from the middle of a face, in face heights.
constexpr float kHair = .3f;
constexpr double kBeside = 1.2, kAbove = 1.05, kBelow = 2.8;

bool masked_at(const DrawnPerson& person, double time) {
  bool masked = person.masked;
  for (const double change : person.changes) masked ^= time >= change;
  return masked;
}

std::optional<WalkPoint> place_at(const DrawnPerson& person, double time) {
  const auto& walk = person.walk;
  if (walk.empty() || time < walk.front().time || time > walk.back().time) return std::nullopt;
  const auto next =
      std::upper_bound(walk.begin(), walk.end(), time,
                       [](double t, const WalkPoint& point) { return t < point.time; });
  if (next == walk.end()) return walk.back();
  const WalkPoint &a = *(next - 1), &b = *next;
  const double share = (time - a.time) / (b.time - a.time);
  return WalkPoint{time, a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)};
}

// The part of `box` that lies in the picture and in none of `others`, on a grid.
float visible_share(const Box& box, int width, int height, const std::vector<Box>& others) {
  constexpr int kSteps = 16;
  int seen = 0;
  for (int i = 0; i < kSteps * kSteps; ++i) {
    const float x = box.x + box.width * (static_cast<float>(i % kSteps) + .5f) / kSteps;
    const float y = box.y + box.height * (static_cast<float>(i / kSteps) + .5f) / kSteps;
    const bool hidden = std::any_of(others.begin(), others.end(), [&](const Box& other) {
      return x > other.x && x < other.x + other.width && y > other.y && y < other.y + other.height;
    });
    seen += !hidden && x >= 0 && y >= 0 && x < static_cast<float>(width) &&
            y < static_cast<float>(height);
  }
  return static_cast<float>(seen) / (kSteps * kSteps);
}

// A person of random build who looks into the camera and hides nothing of the face.
DrawnPerson passer_by(std::uint64_t seed, double height, std::vector<WalkPoint> walk,
                      bool masked = false, std::vector<double> changes = {}) {
  DrawnPerson person{random_face(seed, true), height, std::move(walk), masked, std::move(changes)};
  FaceParameters& look = person.look;
  look.yaw *= .3f;
  look.pitch *= .3f;
  look.roll *= .3f;
  look.mouth_open = 0;
  look.scarf = look.hand = false;
  look.beard = BeardKind::none;
  if (look.glasses == Glasses::dark) look.glasses = Glasses::thin;
  return person;
}

}  // namespace

std::vector<std::string> drawn_scenes() { return {"one", "mask", "cross", "leave", "crowd"}; }

std::vector<DrawnPerson> drawn_scene(const std::string& name) {
  if (name == "one")
    return {passer_by(3, .36, {{0, .45, .45}, {3, .55, .42}, {6, .42, .48}, {10, .5, .45}})};
  if (name == "mask")
    return {passer_by(16, .4, {{0, .4, .45}, {5, .6, .42}, {10, .45, .45}}, false, {3, 7})};
  if (name == "cross")
    return {passer_by(3, .28, {{0, .15, .4}, {2, .2, .4}, {8, .8, .4}, {10, .85, .4}}),
            passer_by(18, .34, {{0, .85, .45}, {2, .8, .45}, {8, .2, .45}, {10, .15, .45}}, true)};
  if (name == "leave")
    return {
        passer_by(3, .36, {{0, -.3, .45}, {2, .35, .45}, {3.5, .4, .42}, {5.5, 1.3, .45}}),
        passer_by(18, .36, {{4.5, -.3, .42}, {7, .4, .45}, {8.5, .45, .45}, {11, 1.3, .42}}, true)};
  if (name == "crowd")
    return {passer_by(12, .2, {{0, .1, .24}, {10, .9, .24}}, true),
            passer_by(24, .2, {{0, .9, .28}, {10, .1, .28}}),
            passer_by(3, .26, {{0, .25, .5}, {5, .15, .5}, {10, .3, .52}}, false, {5}),
            passer_by(18, .28, {{0, .55, .55}, {10, .5, .5}}, true),
            passer_by(33, .26, {{0, .8, .55}, {5, .85, .58}, {10, .8, .55}})};
  throw std::invalid_argument(fmt::format("drawn_scene: no scene is called \"{}\"", name));
}

DrawnVideo::DrawnVideo(int width, int height, double fps, std::vector<DrawnPerson> people)
    : width_(width), height_(height), fps_(fps), people_(std::move(people)) {
  if (width < 16 || height < 16 || width > 8192 || height > 8192 || !(fps >= 1 && fps <= 1000))
    throw std::invalid_argument(
        fmt::format("DrawnVideo: {}x{} at {} frames a second", width, height, fps));
  for (const DrawnPerson& person : people_) {
    if (!(person.height > 0 && person.height <= 2))
      throw std::invalid_argument(fmt::format("DrawnVideo: a person of height {}", person.height));
    for (const bool masked : {false, true}) sprites_.push_back(draw_sprite(person, masked));
  }
  FaceParameters wall;
  wall.backdrop_a = {176, 184, 190};
  wall.backdrop_b = {120, 130, 140};
  backdrop_ = draw_backdrop(wall, width, height);
}

// Drawn over black and over white: the difference says how much is covered.
DrawnVideo::Sprite DrawnVideo::draw_sprite(const DrawnPerson& person, bool masked) const {
  const double high = person.height * height_;
  const auto at = [&](double heights) { return static_cast<float>(std::ceil(heights * high)); };
  const Box face{at(kBeside) - static_cast<float>(.45 * high),
                 at(kAbove) - static_cast<float>(.5 * high), static_cast<float>(.9 * high),
                 static_cast<float>(high)};
  FaceParameters look = person.look;
  if (!masked) look.mask = MaskKind::none;
  Image black(static_cast<int>(2 * at(kBeside)), static_cast<int>(at(kAbove) + at(kBelow)));
  Image white = black;
  std::fill(white.pixels.begin(), white.pixels.end(), std::uint8_t{255});
  const DrawnFace drawn = draw_face_into(black, face, look);
  draw_face_into(white, face, look);
  Image cover(black.width, black.height, 1);
  for (std::size_t i = 0; i < cover.pixels.size(); ++i)
    cover.pixels[i] =
        static_cast<std::uint8_t>(255 - (white.pixels[3 * i + 1] - black.pixels[3 * i + 1]));
  return {std::move(black), std::move(cover), drawn.box};
}

// Bilinear between pixels, in 1/256.
void DrawnVideo::lay(Image& scene, const Sprite& sprite, double left, double top) {
  const int x0 = static_cast<int>(std::floor(left)), y0 = static_cast<int>(std::floor(top));
  const int fx = static_cast<int>(256 * (left - x0)), fy = static_cast<int>(256 * (top - y0));
  const int weights[4] = {(256 - fx) * (256 - fy), fx * (256 - fy), (256 - fx) * fy, fx * fy};
  const int first = std::max(0, x0 + 1), last = std::min(scene.width, x0 + sprite.colors.width);
  for (int y = std::max(0, y0 + 1); y < std::min(scene.height, y0 + sprite.colors.height); ++y) {
    for (int x = first; x < last; ++x) {
      const int sx = x - x0, sy = y - y0;
      const std::uint8_t* const cover[2] = {sprite.cover.at(sx, sy), sprite.cover.at(sx, sy - 1)};
      const int covered = weights[0] * cover[0][0] + weights[1] * cover[0][-1] +
                          weights[2] * cover[1][0] + weights[3] * cover[1][-1];
      if (covered == 0) continue;
      const std::uint8_t* const color[2] = {sprite.colors.at(sx, sy), sprite.colors.at(sx, sy - 1)};
      std::uint8_t* const pixel = scene.at(x, y);
      const int open = 255 - (covered >> 16);
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<std::uint8_t>(
            std::min(255, ((weights[0] * color[0][c] + weights[1] * color[0][c - 3] +
                            weights[2] * color[1][c] + weights[3] * color[1][c - 3]) >>
                           16) +
                              pixel[c] * open / 255));
    }
  }
}

Image DrawnVideo::frame(int index) const {
  Image scene = backdrop_;
  for (const Truth& there : truth(index)) {
    const auto person = static_cast<std::size_t>(there.person);
    const Sprite& sprite = sprites_[2 * person + (there.masked ? 1 : 0)];
    lay(scene, sprite, there.box.x - sprite.face.x, there.box.y - sprite.face.y);
  }
  return scene;
}

std::vector<DrawnVideo::Truth> DrawnVideo::truth(int index) const {
  const double time = index / fps_;
  std::vector<Truth> out;
  for (std::size_t i = 0; i < people_.size(); ++i) {
    const auto place = place_at(people_[i], time);
    if (!place) continue;
    const bool masked = masked_at(people_[i], time);
    const Box& face = sprites_[2 * i + (masked ? 1 : 0)].face;
    out.push_back(
        {static_cast<int>(i),
         {static_cast<float>(place->x * width_) - face.width / 2,
          static_cast<float>(place->y * height_) - face.height / 2, face.width, face.height},
         masked});
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::vector<Box> before;
    for (std::size_t j = i + 1; j < out.size(); ++j) {
      const Box& face = out[j].box;
      before.push_back(
          {face.x, face.y - kHair * face.height, face.width, (1 + kHair) * face.height});
    }
    out[i].visible = visible_share(out[i].box, width_, height_, before);
  }
  return out;
}

int DrawnVideo::frames() const {
  double end = 0;
  for (const DrawnPerson& person : people_)
    if (!person.walk.empty()) end = std::max(end, person.walk.back().time);
  return static_cast<int>(std::lround(end * fps_));
}

}  // namespace maskwatch::vision
