#include "vision/drawn/face_extras.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "base/random.h"

namespace maskwatch::vision {
namespace {

constexpr float kFarthest = 1 << 20;

Point mean_of(std::span<const Point> points) {
  Point sum;
  for (const Point& p : points) sum = {sum.x + p.x, sum.y + p.y};
  const auto count = static_cast<float>(points.size());
  return {sum.x / count, sum.y / count};
}

// The face's own axes: from the middle of the mouth, in distances between the eyes, to the
// picture's right and down along the face.
class FacePlane {
 public:
  explicit FacePlane(std::span<const Point, 68> face)
      : right_eye(mean_of(face.subspan(36, 6))),
        left_eye(mean_of(face.subspan(42, 6))),
        mouth_(mean_of(face.subspan(48, 20))),
        across_{left_eye.x - right_eye.x, left_eye.y - right_eye.y} {}

  Point at(float across, float down) const { return at(mouth_, across, down); }
  Point at(Point origin, float across, float down) const {
    return {origin.x + across * across_.x - down * across_.y,
            origin.y + across * across_.y + down * across_.x};
  }
  float unit() const { return std::hypot(across_.x, across_.y); }
  float angle() const { return std::atan2(across_.y, across_.x); }

  const Point right_eye, left_eye;

 private:
  Point mouth_, across_;
};

// Mean colour about a point.
Color color_at(const Image& photo, Point at, float radius) {
  double sum[3] = {};
  int count = 0;
  for (int j = -2; j <= 2; ++j)
    for (int i = -2; i <= 2; ++i) {
      const auto near = [&](float place, int end) {
        return std::clamp(static_cast<int>(place), 0, end - 1);
      };
      const std::uint8_t* pixel =
          photo.at(near(at.x + static_cast<float>(i) * radius / 2, photo.width),
                   near(at.y + static_cast<float>(j) * radius / 2, photo.height));
      for (int c = 0; c < 3; ++c) sum[c] += pixel[c];
      ++count;
    }
  const auto mean = [&](int c) { return static_cast<std::uint8_t>(sum[c] / count); };
  return {mean(0), mean(1), mean(2)};
}

Color scaled(Color color, float by) {
  const auto channel = [&](std::uint8_t value) {
    return static_cast<std::uint8_t>(std::clamp(static_cast<float>(value) * by, 0.f, 255.f));
  };
  return {channel(color.r), channel(color.g), channel(color.b)};
}

Color any_color(Random& random) {
  const int low = random.below(200);
  const auto channel = [&] { return static_cast<std::uint8_t>(low + random.below(256 - low)); };
  return {channel(), channel(), channel()};
}

class Painter {
 public:
  Painter(Image& photo, std::span<const Point, 68> face, std::uint64_t seed)
      : photo_(photo), face_(face), plane_(face), random_{seed, 41} {
    skin_ = color_at(photo, plane_.at(.35f, -.35f), plane_.unit() * .2f);
    const float grey = .299f * skin_.r + .587f * skin_.g + .114f * skin_.b;
    light_ = std::clamp(grey / 165, .25f, 1.3f);
  }

  void draw(FaceExtra extra) {
    switch (extra) {
      case FaceExtra::none:
        return;
      case FaceExtra::sunglasses:
        return glasses(between(.6, 1));
      case FaceExtra::spectacles:
        return glasses(random_.chance(.5) ? 0 : between(0, .25));
      case FaceExtra::hat:
        return hat();
      case FaceExtra::lipstick:
        return lipstick();
      case FaceExtra::beard:
        return beard();
      case FaceExtra::scarf:
        return scarf();
      case FaceExtra::hand:
        return hand();
      case FaceExtra::cup:
        return cup();
      case FaceExtra::microphone:
        return microphone();
    }
  }

 private:
  float between(double low, double high) { return static_cast<float>(random_.uniform(low, high)); }
  // Lit as the face is, a little darker below.
  Paint shaded(Color color) const {
    const float top = plane_.at(0, -1).y, height = std::max(plane_.unit() * 3, 1.f);
    return [color = scaled(color, light_), top, height](float, float y) {
      return scaled(color, 1.08f - .3f * std::clamp((y - top) / height, 0.f, 1.f));
    };
  }

  // `dark`: how much of the eyes the lenses hide.
  void glasses(float dark) {
    const Color lens = random_.chance(.7) ? scaled(any_color(random_), .25f) : any_color(random_);
    const float wide = between(.3, .48), high = wide * between(.6, 1);
    const float unit = plane_.unit(), thickness = unit * between(.03, .08);
    const Color frame = random_.chance(.6) ? Color{25, 22, 22} : any_color(random_);
    for (const Point& eye : {plane_.right_eye, plane_.left_eye}) {
      const Point middle = plane_.at(eye, 0, .05f);
      fill_ellipse(photo_, middle, wide * unit, high * unit, lens, dark, plane_.angle());
      const auto rim = ellipse_points(middle, wide * unit, high * unit, plane_.angle());
      draw_polyline(photo_, rim, thickness, frame, true);
    }
    const std::vector<Point> bridge{plane_.at(plane_.right_eye, wide, -.02f),
                                    plane_.at(plane_.left_eye, -wide, -.02f)};
    draw_polyline(photo_, bridge, thickness, frame);
  }

  // A cap, a beanie or a hairnet from the brows up, at times with a brim; a hood goes on down
  // beside the cheeks.
  void hat() {
    const Color cloth = any_color(random_);
    const float brow = -1.4f - between(0, .3), wide = between(1.1, 1.35), high = between(.8, 1.3);
    const bool hood = random_.chance(.35), brim = !hood && random_.chance(.5);
    const int jaw = 2 + random_.below(4);  // to which of its points a hood comes down
    const float out = between(.25, .5);    // and how far it stands off
    std::vector<Point> outline;
    if (hood) {
      outline.push_back(plane_.at(face_[static_cast<std::size_t>(jaw)], -out, .1f));
      outline.push_back(plane_.at(face_[0], -out, 0));
    }
    for (int i = -8; i <= 8; ++i) {
      const float share = static_cast<float>(i) / 8;
      outline.push_back(plane_.at(share * wide, brow - high * std::sqrt(1 - share * share)));
    }
    if (hood) {
      outline.push_back(plane_.at(face_[16], out, 0));
      outline.push_back(plane_.at(face_[static_cast<std::size_t>(16 - jaw)], out, .1f));
      for (int i = 16 - jaw; i <= 16; ++i) outline.push_back(face_[static_cast<std::size_t>(i)]);
    }
    for (int i = 4; i >= -4; --i) {
      const float share = static_cast<float>(i) / 4;
      outline.push_back(plane_.at(share * (hood ? .9f : wide), brow + .18f * share * share));
    }
    if (hood)
      for (int i = 0; i <= jaw; ++i) outline.push_back(face_[static_cast<std::size_t>(i)]);
    fill_polygon(photo_, outline, shaded(cloth));
    if (!brim) return;
    const float down = between(.02, .22);
    const std::vector<Point> edge{plane_.at(-wide * .8f, brow + .05f), plane_.at(-.5f, brow + down),
                                  plane_.at(.5f, brow + down), plane_.at(wide * .8f, brow + .05f)};
    draw_polyline(photo_, edge, plane_.unit() * between(.1, .25),
                  scaled(cloth, light_ * between(.5, .9)));
  }

  void lipstick() {
    const Color red = random_.chance(.7) ? Color{190, 30, 50} : any_color(random_);
    std::vector<Point> lips(face_.begin() + 48, face_.begin() + 60);
    fill_polygon(photo_, lips, scaled(red, light_), between(.35, .85));
  }

  void beard() {
    const Color hair = scaled(any_color(random_), between(.1, .5));
    const float sure = between(.2, .7);
    const bool goatee = random_.chance(.35);
    std::vector<Point> outline;
    if (goatee) {
      const float wide = between(.28, .45);
      for (int i = 0; i <= 8; ++i) {
        const float angle = static_cast<float>(i) / 8 * std::numbers::pi_v<float>;
        outline.push_back(plane_.at(wide * std::cos(angle), .05f + .62f * std::sin(angle)));
      }
      for (int i = -2; i <= 2; ++i)  // below the lips
        outline.push_back(plane_.at(static_cast<float>(i) * .11f, .2f));
    } else {
      outline.assign(face_.begin() + 2, face_.begin() + 15);
      const float high = between(-.1, .25);
      for (int i = 14; i >= 2; --i) {  // back along the cheeks, round the mouth
        const float share = static_cast<float>(i - 8) / 6;
        outline.push_back(plane_.at(share * .75f, high + .12f - .5f * share * share));
      }
    }
    fill_polygon(photo_, outline, shaded(hair), sure);
    grow_hair(outline, hair);
    if (!random_.chance(.6)) return;
    const std::vector<Point> moustache{plane_.at(-.42f, .1f), plane_.at(-.2f, -.2f),
                                       plane_.at(.2f, -.2f), plane_.at(.42f, .1f)};
    draw_polyline(photo_, moustache, plane_.unit() * between(.1, .18), scaled(hair, light_), false,
                  sure);
  }

  // Strokes of lighter and darker hair along the outline and inside it.
  void grow_hair(const std::vector<Point>& outline, Color hair) {
    const Point middle = mean_of(outline);
    for (int i = 0; i < 90; ++i) {
      const Point& edge = outline[static_cast<std::size_t>(i) % outline.size()];
      const float inwards = between(-.05, .8);
      const Point root{edge.x + inwards * (middle.x - edge.x),
                       edge.y + inwards * (middle.y - edge.y)};
      const std::vector<Point> strand{root, plane_.at(root, between(-.06, .06), between(.05, .16))};
      draw_polyline(photo_, strand, plane_.unit() * .025f, scaled(hair, light_ * between(.4, 1.6)),
                    false, .5f);
    }
  }

  void scarf() {
    const float top = between(.5, .95), depth = between(.5, 1.4), wide = between(1, 1.6);
    std::vector<Point> outline;
    for (int i = 0; i <= 8; ++i) {
      const float share = static_cast<float>(i) / 4 - 1;
      outline.push_back(plane_.at(share * wide, top - .35f * share * share + between(-.04, .04)));
    }
    outline.push_back(plane_.at(wide * 1.1f, top + depth));
    outline.push_back(plane_.at(-wide * 1.1f, top + depth));
    const Color cloth = any_color(random_);
    fill_polygon(photo_, outline, shaded(cloth));
    for (int fold = 1; fold < 4; ++fold) {
      const float down = top + depth * static_cast<float>(fold) / 4;
      const std::vector<Point> line{plane_.at(-wide, down - .25f), plane_.at(0, down + .1f),
                                    plane_.at(wide, down - .25f)};
      draw_polyline(photo_, line, plane_.unit() * .05f, scaled(cloth, light_ * .75f), false, .6f);
    }
  }

  // Fingers beside one another that reach to `tip` from below.
  void hand() {
    const float side = random_.chance(.5) ? 1.f : -1.f, tip_x = between(-.3, .5),
                tip_y = between(-.35, .7), lean = between(.2, 1.1);
    const float thick = between(.17, .24);
    const int fingers = 2 + random_.below(3);
    const Color skin = scaled(skin_, between(.8, 1.1));
    const float unit = plane_.unit();
    for (int i = 0; i < fingers; ++i) {
      const float beside = static_cast<float>(i) * thick * 1.02f;
      const Point tip = plane_.at(side * (tip_x + beside * .9f), tip_y + between(-.08, .12));
      const Point knuckle =
          plane_.at(side * (tip_x + lean * .6f + beside), tip_y + .55f + beside * .2f);
      const Point wrist = plane_.at(side * (tip_x + lean + beside * .8f), tip_y + 2.2f);
      const std::vector<Point> finger{tip, knuckle, wrist};
      draw_polyline(photo_, finger, unit * thick * 1.12f, scaled(skin, .72f), false, .7f);
      draw_polyline(photo_, finger, unit * thick, skin);
    }
  }

  void cup() {
    const float x = between(-.3, .3), top = between(-.25, .35), wide = between(.35, .6);
    const float high = between(.6, 1.2), narrow = between(.6, 1);
    const Color clay = any_color(random_);
    const std::vector<Point> wall{plane_.at(x - wide, top), plane_.at(x + wide, top),
                                  plane_.at(x + wide * narrow, top + high),
                                  plane_.at(x - wide * narrow, top + high)};
    fill_polygon(photo_, wall, shaded(clay));
    const float unit = plane_.unit();
    fill_ellipse(photo_, plane_.at(x, top), wide * unit, wide * unit * between(.08, .3),
                 scaled(clay, light_ * between(.5, 1.2)), 1, plane_.angle());
  }

  void microphone() {
    const float x = between(-.4, .4), y = between(0, .6), size = between(.22, .4);
    const Color body = random_.chance(.7) ? Color{40, 40, 45} : any_color(random_);
    const std::vector<Point> handle{plane_.at(x, y),
                                    plane_.at(x + between(-.9, .9), y + between(1.2, 2.2))};
    const float unit = plane_.unit();
    draw_polyline(photo_, handle, unit * size * .8f, scaled(body, light_ * .8f));
    fill_ellipse(photo_, plane_.at(x, y), size * unit, size * unit * 1.1f, scaled(body, light_));
    fill_ellipse(photo_, plane_.at(x - .1f, y - .1f), size * unit * .45f, size * unit * .4f,
                 scaled(body, light_ * 1.5f), .5f);
  }

  Image& photo_;
  std::span<const Point, 68> face_;
  FacePlane plane_;
  Random random_;
  Color skin_;
  float light_ = 1;
};

}  // namespace

std::string name_of(FaceExtra extra) {
  constexpr const char* names[] = {"none",  "sunglasses", "spectacles", "hat", "lipstick",
                                   "beard", "scarf",      "hand",       "cup", "microphone"};
  return names[static_cast<int>(extra)];
}

FaceExtra random_extra(std::uint64_t seed) {
  return static_cast<FaceExtra>(1 + Random{seed, 40}.below(9));
}

bool lies_under_mask(FaceExtra extra) {
  return extra == FaceExtra::lipstick || extra == FaceExtra::beard;
}

void draw_extra(Image& photo, std::span<const Point, 68> landmarks, FaceExtra extra,
                std::uint64_t seed) {
  if (photo.empty() || photo.channels != 3)
    throw std::invalid_argument(fmt::format("draw_extra: a picture of {}x{}x{}, but RGB is needed",
                                            photo.width, photo.height, photo.channels));
  for (const Point& p : landmarks)
    if (!(std::abs(p.x) <= kFarthest && std::abs(p.y) <= kFarthest))
      throw std::invalid_argument("draw_extra: landmarks that are not finite or too far away");
  if (FacePlane(landmarks).unit() < 1) return;
  Painter(photo, landmarks, seed).draw(extra);
}

}  // namespace maskwatch::vision
