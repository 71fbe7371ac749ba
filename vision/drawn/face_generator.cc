#include "vision/drawn/face_generator.h"

#include <fmt/format.h>

#include <Eigen/Geometry>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "base/random.h"
#include "vision/drawn/face_paint.h"
#include "vision/drawn/face_shape.h"
#include "vision/drawn/mesh.h"
#include "vision/image/augment.h"

namespace maskwatch::vision {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;
constexpr float kForehead = -.62f, kChinY = 1.05f;  // what counts as the face, in model units
constexpr float kFaceMiddle = (kForehead + kChinY) / 2;

using enum MaskPattern;

View head_view(const FaceParameters& p, const Box& box) {
  const auto turn = [](float degrees, const Vec3& axis) {
    return Eigen::AngleAxisf(degrees * kPi / 180, axis);
  };
  View view;
  view.rotation =
      (turn(p.roll, Vec3::UnitZ()) * turn(-p.pitch, Vec3::UnitX()) * turn(p.yaw, Vec3::UnitY()))
          .toRotationMatrix();
  view.pivot = Vec3(0, .55f, -.1f);
  view.scale = box.height / (kChinY - kForehead);
  view.x = box.x + box.width / 2;
  view.y = box.y + box.height / 2 - view.scale * kFaceMiddle;
  return view;
}

// The shoulders follow the head's turn a little.
View body_view(const FaceParameters& p, const View& head) {
  View view = head;
  view.rotation = Eigen::AngleAxisf(.3f * p.yaw * kPi / 180, Vec3::UnitY()).toRotationMatrix();
  return view;
}

Mesh around(int columns, int rows, float top, float bottom,
            const std::function<Vec3(float, float)>& at) {
  return Mesh(columns, rows,
              [&](float u, float v) { return at((u * 2 - 1) * kPi, top + (bottom - top) * v); });
}

// Finer towards crown and chin, where the slices shrink fast.
float spread(float v) { return -std::cos(std::clamp(v, 0.f, 1.f) * kPi); }

void draw_body(Canvas& canvas, const FaceParameters& p, const FacePainter& painter,
               const View& view) {
  const Mesh neck = around(32, 24, .62f, 1.75f, [](float angle, float y) {
    const float wide = .40f + .10f * std::pow(std::max(0.f, y - 1.1f), 2.f);
    return Vec3(wide * std::sin(angle), y, wide * std::cos(angle) - .18f);
  });
  const auto clothes = [&](const Fragment& at, Rgb& color) { return painter.clothes(at, color); };
  canvas.draw(neck, view, clothes, true);
  const Mesh shoulders = around(48, 32, 1.36f, 4.5f, [](float angle, float y) {
    const float slope = std::sqrt(std::clamp((y - 1.36f) / .75f, 0.f, 1.f));
    return Vec3((.30f + 1.35f * slope) * std::sin(angle), y,
                (.34f + .3f * slope) * std::cos(angle) - .2f);
  });
  canvas.draw(shoulders, view, clothes, true);
  if (!p.scarf) return;
  const Mesh scarf = around(48, 16, 1.12f, 1.62f, [](float angle, float y) {
    const float swell = std::sin(std::clamp((y - 1.12f) / .5f, 0.f, 1.f) * kPi);
    const float wide = .47f + .12f * swell;
    return Vec3(wide * std::sin(angle), y - .05f * std::cos(angle), wide * std::cos(angle) - .12f);
  });
  canvas.draw(scarf, view,
              [&](const Fragment& at, Rgb& color) { return painter.scarf(at, color); });
}

void draw_hair(Canvas& canvas, const FaceParameters& p, const FacePainter& painter,
               const FaceShape& shape, const View& view) {
  if (p.hair_style == HairStyle::bald) return;
  const float thick = p.hair_style == HairStyle::cropped ? .05f : .11f;
  const Mesh cap = Mesh(72, 40, [&](float u, float v) {
    return shape.skin((u * 2 - 1) * kPi, -.16f + .89f * spread(v), thick, 0);
  });
  canvas.draw(cap, view, [&](const Fragment& at, Rgb& color) { return painter.hair(at, color); });
  if (p.hair_style != HairStyle::long_hair) return;
  const Mesh curtain = around(72, 40, -.6f, 1.75f, [&](float angle, float y) {
    const float wide = y < 0 ? shape.half_width(y) + .12f : .89f * p.face_width + .03f * y;
    return Vec3(wide * std::sin(angle), y, (std::cos(angle) > 0 ? .5f : 1.02f) * std::cos(angle));
  });
  canvas.draw(curtain, view,
              [&](const Fragment& at, Rgb& color) { return painter.long_hair(at, color); });
}

void draw_ears(Canvas& canvas, const FaceParameters& p, const FacePainter& painter,
               const FaceShape& shape, const View& view) {
  for (const float side : {-1.f, 1.f}) {
    const Vec3 centre = shape.skin(side * 1.62f, .10f, .02f);
    const Mesh ear(20, 16, [&](float u, float v) {
      const float angle = (u * 2 - 1) * kPi, y = spread(v),
                  wide = std::sqrt(std::max(0.f, 1 - y * y));
      return Vec3(centre + Vec3(side * .02f + .085f * wide * std::sin(angle), .20f * y,
                                .10f * wide * std::cos(angle) - .02f));
    });
    canvas.draw(ear, view, [&](const Fragment& at, Rgb& color) {
      const Vec3 from = (at.point - centre).array() / Vec3(.085f, .2f, .1f).array();
      color = painter.lit(to_rgb(p.skin) * (.80f + .18f * std::min(1.f, from.head<2>().norm())),
                          at.normal);
      return true;
    });
  }
}

void draw_glasses(Canvas& canvas, const FaceParameters& p, const FaceShape& shape,
                  const View& view) {
  if (p.glasses == Glasses::none) return;
  const float rod = p.glasses == Glasses::thin ? .012f : .026f;
  const Rgb frame = p.glasses == Glasses::thin ? Rgb(.35f, .33f, .3f) : Rgb(.08f, .07f, .08f);
  const float z = shape.front(0, kEyeY).z() + .06f;
  for (const float side : {-1.f, 1.f}) {
    const auto rim = [&](float turn) {
      const float c = std::cos(turn), s = std::sin(turn);
      const float x = .215f * std::copysign(std::pow(std::abs(c), .75f), c);
      const float y = .165f * std::copysign(std::pow(std::abs(s), .75f), s);
      return Vec3(side * kEyeX + x, kEyeY + .03f + y, z - .25f * std::abs(side * kEyeX + x));
    };
    if (p.glasses == Glasses::dark) {
      const Mesh lens(12, 12, [&](float u, float v) {
        const Vec3 edge = rim((u * 2 - 1) * kPi),
                   middle(side * kEyeX, kEyeY + .03f, z - .25f * kEyeX);
        return Vec3(middle + v * (edge - middle));
      });
      canvas.draw(lens, view, [&](const Fragment& at, Rgb& color) {
        color = Rgb(.07f, .07f, .09f) + .12f * (kEyeY + .1f - at.point.y());
        return true;
      });
    }
    constexpr int pieces = 28;
    for (int i = 0; i < pieces; ++i)
      canvas.draw_rod(rim(2 * kPi * i / pieces), rim(2 * kPi * (i + 1) / pieces), rod, view, frame);
    const Vec3 hinge(side * (kEyeX + .215f), kEyeY, z - .25f * (kEyeX + .215f));
    canvas.draw_rod(hinge, shape.skin(side * 1.1f, kEyeY, .05f), rod, view, frame);
    canvas.draw_rod(shape.skin(side * 1.1f, kEyeY, .05f), shape.skin(side * 1.6f, -.04f, .06f), rod,
                    view, frame);
  }
  canvas.draw_rod({-.11f, kEyeY, z}, {.11f, kEyeY, z}, rod, view, frame);
}

void draw_mask(Canvas& canvas, const FacePainter& painter, const FaceShape& shape,
               const View& view) {
  const Mesh cloth = Mesh(
      96, 56, [&](float u, float v) { return shape.cloth((u * 2 - 1) * kPi, .05f + 1.02f * v); });
  canvas.draw(cloth, view, [&](const Fragment& at, Rgb& color) { return painter.mask(at, color); });
}

void draw_ear_loops(Canvas& canvas, const FaceParameters& p, const FacePainter& painter,
                    const FaceShape& shape, const View& view) {
  const bool dark = p.mask_color.r + p.mask_color.g + p.mask_color.b < 240;
  const Rgb band = painter.lit(dark ? Rgb(.12f, .12f, .12f) : Rgb(.93f, .93f, .92f), Vec3(0, 0, 1));
  for (const float side : {-1.f, 1.f}) {
    const float top = shape.mask_top(side * 1.1f) + .03f;
    const Vec3 ear_top = shape.skin(side * 1.6f, -.02f, .05f),
               ear_bottom = shape.skin(side * 1.6f, .24f, .05f);
    const Vec3 high = shape.cloth(side * 1.12f, top),
               low = shape.cloth(side * 1.12f, std::max(top, .80f));
    const Vec3 high_middle = shape.skin(side * 1.38f, top * .5f, .05f);
    const Vec3 low_middle = shape.skin(side * 1.42f, .52f, .05f);
    canvas.draw_rod(high, high_middle, .011f, view, band);
    canvas.draw_rod(high_middle, ear_top, .011f, view, band);
    canvas.draw_rod(low, low_middle, .011f, view, band);
    canvas.draw_rod(low_middle, ear_bottom, .011f, view, band);
  }
}

// Fingers before mouth and chin, from below.
void draw_hand(Canvas& canvas, const FaceParameters& p, const FacePainter& painter,
               const View& view) {
  Random random{p.seed, 77};
  const float side = random.chance(.5) ? 1.f : -1.f,
              lean = static_cast<float>(random.uniform(.05, .3));
  const Rgb skin = painter.lit(to_rgb(p.skin) * .97f, Vec3(0, -.2f, 1).normalized());
  const Vec3 wrist(side * .75f, 1.9f, .9f);
  for (int i = 0; i < 4; ++i) {
    const float along = static_cast<float>(i) * .14f - .2f;
    const Vec3 knuckle(side * (.34f + along), 1.08f + .04f * std::abs(static_cast<float>(i) - 1.5f),
                       1.15f);
    const Vec3 tip(side * (along + .05f - lean),
                   .58f + .06f * std::abs(static_cast<float>(i) - 1.5f), 1.2f);
    canvas.draw_rod(wrist, knuckle, .13f, view, skin * .96f);
    canvas.draw_rod(knuckle, (knuckle + tip) / 2, .082f, view, skin);
    canvas.draw_rod((knuckle + tip) / 2, tip, .075f, view, skin);
  }
}

// What the face shows of itself: forehead to chin, cheek to cheek.
Box face_box(const FaceShape& shape, const View& view) {
  float left = 1e30f, right = -1e30f, top = 1e30f, bottom = -1e30f;
  for (int i = 0; i <= 24; ++i) {
    for (int j = 0; j <= 24; ++j) {
      const float y = kForehead + (kChinY - .01f - kForehead) * static_cast<float>(j) / 24;
      const Vec3 p = view.picture(shape.skin((static_cast<float>(i) / 12 - 1) * 1.45f, y));
      left = std::min(left, p.x());
      right = std::max(right, p.x());
      top = std::min(top, p.y());
      bottom = std::max(bottom, p.y());
    }
  }
  return {left, top, right - left, bottom - top};
}

}  // namespace

DrawnFace draw_face_into(Image& scene, const Box& box, const FaceParameters& p, int samples) {
  if (scene.empty() || scene.channels != 3 || !(box.height > 0) || !(box.width > 0) ||
      !std::isfinite(box.x + box.y + box.width + box.height) || box.height > 65536)
    throw std::invalid_argument(
        fmt::format("draw_face_into: a box {}x{} at ({}, {}) in a scene of {}x{}x{}", box.width,
                    box.height, box.x, box.y, scene.width, scene.height, scene.channels));
  const View view = head_view(p, box), body = body_view(p, view);
  const FaceShape shape(p);
  samples = std::clamp(samples, 1, 8);
  const FacePainter painter(p, shape, 1.2f / view.scale);
  DrawnFace out;
  const auto points = shape.landmarks();
  for (int i = 0; i < 68; ++i) {
    const Vec3 at = view.picture(points[i]);
    out.landmarks[i] = {at.x(), at.y()};
  }
  out.box = face_box(shape, view);
  out.mask = Image(scene.width, scene.height, 1);
  const float reach = 1.9f * view.scale, middle = view.x;
  const auto pixel = [](float at, int end) {
    return static_cast<int>(std::clamp(at, 0.f, static_cast<float>(end)));
  };
  PixelBox area{pixel(middle - reach, scene.width), pixel(view.y - 1.7f * view.scale, scene.height),
                0, 0};
  area.width = pixel(std::ceil(middle + reach), scene.width) - area.x;
  area.height = pixel(std::ceil(view.y + 4.6f * view.scale), scene.height) - area.y;
  if (area.width <= 0 || area.height <= 0) return out;
  Canvas canvas(area, samples);
  int mask_layer = 0;
  if (p.mask != MaskKind::none) {
    draw_mask(canvas, painter, shape, view);
    mask_layer = 1;
    draw_ear_loops(canvas, p, painter, shape, view);
  }
  draw_body(canvas, p, painter, body);
  // Facets of some three pixels: the light on them is interpolated.
  const int facets = std::clamp(static_cast<int>(1.3f * view.scale), 48, 128);
  const Mesh head(facets, facets, [&](float u, float v) {
    return shape.skin((u * 2 - 1) * kPi, 1.0499f * spread(v));
  });
  canvas.draw(
      head, view, [&](const Fragment& at, Rgb& color) { return painter.skin(at, color); }, true);
  draw_ears(canvas, p, painter, shape, view);
  draw_hair(canvas, p, painter, shape, view);
  draw_glasses(canvas, p, shape, view);
  if (p.hand) draw_hand(canvas, p, painter, view);
  canvas.lay_over(scene);
  if (mask_layer != 0) out.mask.pixels = canvas.layer_share(mask_layer, scene);
  return out;
}

Image draw_backdrop(const FaceParameters& p, int width, int height) {
  Image out(width, height);
  const Rgb a = to_rgb(p.backdrop_a), b = to_rgb(p.backdrop_b);
  Random random{p.seed, 99};
  const float turn = static_cast<float>(random.uniform(0, 2 * kPi)), c = std::cos(turn),
              s = std::sin(turn);
  const float waves = static_cast<float>(random.uniform(3, 12)),
              horizon = static_cast<float>(random.uniform(.35, .7));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const float u = static_cast<float>(x) / static_cast<float>(width),
                  v = static_cast<float>(y) / static_cast<float>(height);
      const float along = c * (u - .5f) + s * (v - .5f);
      float t = 0;
      if (p.backdrop == Backdrop::gradient) t = along + .5f;
      if (p.backdrop == Backdrop::blobs) t = .5f + .8f * wave_noise(u * 5, v * 5, p.seed + 20);
      if (p.backdrop == Backdrop::stripes) t = .5f + .5f * std::sin(along * waves * 2 * kPi);
      if (p.backdrop == Backdrop::room) {
        const float cell_x = std::floor(u * waves / 2), cell_y = std::floor(v * waves / 2.5f);
        t = .5f + .5f * wave_noise(cell_x * 7.3f, cell_y * 5.1f, p.seed + 21);
      }
      if (p.backdrop == Backdrop::outdoors) {
        const float edge = horizon + .12f * wave_noise(u * 4, 0, p.seed + 22);
        t = step_between(edge - .02f, edge + .02f, v) *
                (.7f + .4f * wave_noise(u * 30, v * 30, p.seed + 23)) +
            .25f * v;
      }
      const Color color =
          to_color(blend(a, b, t) * (1 + .02f * wave_noise(u * 90, v * 90, p.seed + 24)));
      std::uint8_t* pixel = out.at(x, y);
      pixel[0] = color.r;
      pixel[1] = color.g;
      pixel[2] = color.b;
    }
  }
  return out;
}

DrawnFace draw_face(const FaceParameters& p, int width, int height) {
  if (width < 8 || height < 8 || width > 8192 || height > 8192)
    throw std::invalid_argument(fmt::format("draw_face: a picture of {}x{}", width, height));
  Image scene = draw_backdrop(p, width, height);
  const float face_height = p.size * static_cast<float>(height), face_width = .9f * face_height;
  const Box box{p.centre_x * static_cast<float>(width) - face_width / 2,
                p.centre_y * static_cast<float>(height) - face_height / 2, face_width, face_height};
  DrawnFace out = draw_face_into(scene, box, p);
  blur(scene, p.blur);
  add_noise(scene, p.noise, p.seed);
  out.picture = std::move(scene);
  return out;
}

namespace {

template <class T, std::size_t size>
const T& pick(Random& random, const T (&choices)[size]) {
  return choices[random.below(static_cast<int>(size))];
}

Color varied(Random& random, Color color, double amount) {
  const double all = random.uniform(-amount, amount);
  const auto move = [&](std::uint8_t value) {
    return static_cast<std::uint8_t>(
        std::clamp(value + all + random.uniform(-amount, amount) / 3, 0.0, 255.0));
  };
  return {move(color.r), move(color.g), move(color.b)};
}

Color any_color(Random& random) {
  const auto byte = [&] { return static_cast<std::uint8_t>(random.uniform(20, 245)); };
  return {byte(), byte(), byte()};
}

void pick_person(Random& random, FaceParameters& p) {
  constexpr Color skins[] = {{246, 214, 190}, {236, 193, 160}, {224, 172, 138}, {205, 150, 112},
                             {176, 120, 84},  {141, 92, 62},   {104, 66, 44},   {76, 48, 34}};
  constexpr Color hairs[] = {{22, 18, 16},    {48, 32, 22},  {82, 54, 34},    {128, 88, 50},
                             {196, 160, 100}, {150, 70, 36}, {150, 150, 150}, {215, 212, 205}};
  constexpr Color irises[] = {
      {70, 45, 25}, {95, 65, 35}, {80, 110, 70}, {80, 120, 160}, {110, 120, 125}};
  const auto around_one = [&](double spread) {
    return static_cast<float>(random.uniform(1 - spread, 1 + spread));
  };
  p.skin = varied(random, pick(random, skins), 10);
  p.hair = varied(random, pick(random, hairs), 12);
  p.iris = pick(random, irises);
  const Rgb lips = to_rgb(p.skin) * Rgb(.92f, .62f, .62f);
  p.lips = to_color(random.chance(.25) ? blend(lips, Rgb(.75f, .15f, .2f), .6f) : lips);
  p.clothes = any_color(random);
  p.face_width = around_one(.07);
  p.jaw_width = around_one(.5);
  p.nose_length = around_one(.12);
  p.nose_width = around_one(.22);
  p.eye_size = around_one(.12);
  p.mouth_width = around_one(.15);
  p.brow_thickness = around_one(.45);
  p.hair_style =
      pick(random, {HairStyle::bald, HairStyle::cropped, HairStyle::cropped, HairStyle::fringe,
                    HairStyle::parted, HairStyle::long_hair, HairStyle::long_hair});
  const bool bearded = p.hair_style != HairStyle::long_hair && random.chance(.45);
  p.beard = bearded ? pick(random, {BeardKind::stubble, BeardKind::moustache, BeardKind::full})
                    : BeardKind::none;
  p.glasses = random.chance(.3)
                  ? pick(random, {Glasses::thin, Glasses::thin, Glasses::thick, Glasses::dark})
                  : Glasses::none;
  p.scarf = random.chance(.12);
}

void pick_moment(Random& random, FaceParameters& p) {
  p.yaw = static_cast<float>(11 * random.bounded_normal());
  p.pitch = static_cast<float>(5 * random.bounded_normal());
  p.roll = static_cast<float>(5 * random.bounded_normal());
  p.eye_open = static_cast<float>(random.uniform(.7, 1.15));
  p.brow_lift = static_cast<float>(random.uniform(-.5, .9));
  p.smile = static_cast<float>(random.uniform(-.4, 1));
  p.mouth_open = random.chance(.3) ? static_cast<float>(random.uniform(.2, 1)) : 0;
  p.gaze = static_cast<float>(.5 * random.bounded_normal());
  p.light_x = static_cast<float>(random.uniform(-1, 1));
  p.light_y = static_cast<float>(random.uniform(-1, .15));
  p.light_strength = static_cast<float>(random.uniform(.25, .8));
  p.warmth = static_cast<float>(random.uniform(-.7, .9));
  p.backdrop = pick(random, {Backdrop::plain, Backdrop::gradient, Backdrop::blobs,
                             Backdrop::stripes, Backdrop::room, Backdrop::outdoors});
  p.backdrop_a = any_color(random);
  p.backdrop_b = any_color(random);
  p.size = static_cast<float>(random.uniform(.5, .72));
  p.centre_x = static_cast<float>(random.uniform(.44, .56));
  p.centre_y = static_cast<float>(random.uniform(.46, .56));
  p.blur = random.chance(.3) ? static_cast<float>(random.uniform(.3, 1)) : 0;
  p.noise = random.chance(.6) ? static_cast<float>(random.uniform(0, 7)) : 0;
}

void pick_mask(Random& random, FaceParameters& p) {
  constexpr Color surgical[] = {
      {158, 198, 228}, {232, 238, 240}, {150, 205, 190}, {120, 170, 215}, {235, 190, 200}};
  constexpr Color n95s[] = {{240, 240, 236}, {228, 226, 218}, {45, 45, 48}};
  const double kind = random.uniform();
  p.mask = kind < .5 ? MaskKind::surgical : kind < .85 ? MaskKind::cloth : MaskKind::n95;
  const Color cloth = random.chance(.35) ? Color{28, 28, 31} : any_color(random);
  p.mask_color = varied(random,
                        p.mask == MaskKind::surgical
                            ? (random.chance(.15) ? Color{32, 33, 36} : pick(random, surgical))
                        : p.mask == MaskKind::n95 ? pick(random, n95s)
                                                  : cloth,
                        8);
  p.pattern_color = any_color(random);
  p.pattern = p.mask == MaskKind::cloth && random.chance(.55)
                  ? pick(random, {stripes, dots, checks, flowers})
                  : plain;
}

}  // namespace

FaceParameters random_face(std::uint64_t seed, bool with_mask) {
  FaceParameters p;
  p.seed = seed;
  Random person{seed, 1}, moment{seed, 2}, mask{seed, 3}, obstacle{seed, 4};
  pick_person(person, p);
  pick_moment(moment, p);
  p.pattern_color = any_color(obstacle);
  p.hand = !with_mask && obstacle.chance(.08);
  if (with_mask) pick_mask(mask, p);
  return p;
}

}  // namespace maskwatch::vision
