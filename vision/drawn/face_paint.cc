#include "vision/drawn/face_paint.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/random.h"

namespace maskwatch::vision {
namespace {

float angle_of(const Fragment& at) { return (at.u * 2 - 1) * std::numbers::pi_v<float>; }

float lattice(std::int64_t x, std::int64_t y, std::uint64_t seed) {
  const std::uint64_t bits = mix_bits(seed + static_cast<std::uint64_t>(x) * kRandomStep +
                                      static_cast<std::uint64_t>(y) * 0xD1B54A32D192ED03u);
  return static_cast<float>(bits >> 40) / 8388608.f - 1;
}

// Distance to the middle of the nearest stripe of a period of 1.
float from_stripe(float x) { return std::abs(x - std::round(x)); }

}  // namespace

Rgb to_rgb(Color color) { return Rgb(color.r, color.g, color.b) / 255.f; }

Color to_color(const Rgb& color) {
  const auto byte = [](float value) {
    return static_cast<std::uint8_t>(std::lround(255 * std::clamp(value, 0.f, 1.f)));
  };
  return {byte(color[0]), byte(color[1]), byte(color[2])};
}

Rgb blend(const Rgb& a, const Rgb& b, float t) { return a + (b - a) * std::clamp(t, 0.f, 1.f); }

float step_between(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.f, 1.f);
  return t * t * (3 - 2 * t);
}

float wave_noise(float x, float y, std::uint64_t seed) {
  const float left = std::floor(x), top = std::floor(y);
  const float u = step_between(0, 1, x - left), v = step_between(0, 1, y - top);
  const auto i = static_cast<std::int64_t>(left), j = static_cast<std::int64_t>(top);
  const float above = std::lerp(lattice(i, j, seed), lattice(i + 1, j, seed), u);
  const float below = std::lerp(lattice(i, j + 1, seed), lattice(i + 1, j + 1, seed), u);
  return std::lerp(above, below, v);
}

FacePainter::FacePainter(const FaceParameters& parameters, const FaceShape& shape, float soft)
    : p_(parameters),
      shape_(shape),
      soft_(soft),
      light_(Vec3(parameters.light_x, parameters.light_y, 1).normalized()) {}

Rgb FacePainter::lit(const Rgb& color, const Vec3& normal, float gloss) const {
  const float facing = std::max(0.f, normal.dot(light_));
  const float strength = std::clamp(p_.light_strength, 0.f, 1.f);
  const float shade = 1 - strength + strength * (.25f + .95f * facing);
  const float rim = .10f * (1 - normal.z());
  const Vec3 halfway = (light_ + Vec3(0, 0, 1)).normalized();
  const float shine = gloss * std::pow(std::max(0.f, normal.dot(halfway)), 24.f);
  const Rgb tint(1 + .10f * p_.warmth, 1 + .02f * p_.warmth, 1 - .12f * p_.warmth);
  return color * tint * (shade - rim) + shine * strength;
}

float FacePainter::near_line(float distance, float half_thickness) const {
  return 1 - step_between(half_thickness - soft_ / 2, half_thickness + soft_ / 2 + 1e-4f,
                          std::abs(distance));
}

void FacePainter::add_cheeks(const Fragment& at, Rgb& color) const {
  const float x = std::abs(at.point.x()) - .43f, y = at.point.y() - .32f;
  color = blend(color, color * Rgb(1.05f, .86f, .84f), .6f * std::exp(-(x * x + y * y) / .04f));
  const float socket_x = std::abs(at.point.x()) - kEyeX, socket_y = at.point.y() - kEyeY + .02f;
  color *= 1 - .20f * std::exp(-socket_x * socket_x / .03f - socket_y * socket_y / .012f);
  color *= 1 + .03f * wave_noise(at.point.x() * 9, at.point.y() * 9, p_.seed) +
           .015f * wave_noise(at.point.x() * 40, at.point.y() * 40, p_.seed + 1);
  const float under_chin = step_between(.98f, 1.05f, at.point.y());
  color *= 1 - .35f * under_chin;
}

void FacePainter::add_eye(float x, float y, float side, Rgb& color) const {
  const float half = shape_.eye_half_width();
  const float dx = x - side * kEyeX, t = dx / half, dy = y - kEyeY;
  if (std::abs(t) > 1.5f || std::abs(dy) > .25f) return;
  const float inside_t = std::clamp(t, -1.f, 1.f);
  const float top = shape_.upper_lid(inside_t), bottom = shape_.lower_lid(inside_t);
  const float open = step_between(-soft_, soft_, std::min(dy - top, bottom - dy)) *
                     step_between(0, .08f, 1 - std::abs(t));
  const float gaze_x = dx - .045f * p_.gaze, radius = .068f * p_.eye_size;
  const float from_iris = std::hypot(gaze_x, dy + .012f);
  Rgb ball = Rgb(.93f, .92f, .90f) * (1 - .25f * step_between(.3f, 1, std::abs(t)));
  ball *= 1 - .35f * (1 - step_between(0, .05f, dy - top));  // the lid's shadow
  ball = blend(ball, to_rgb(p_.iris) * .55f, near_line(from_iris, radius));
  ball = blend(ball, to_rgb(p_.iris), near_line(from_iris, radius * .8f));
  ball = blend(ball, Rgb(.03f, .03f, .03f), near_line(from_iris, radius * .45f));
  ball = blend(ball, Rgb(1, 1, 1), .9f * near_line(std::hypot(gaze_x + .022f, dy + .035f), .014f));
  color = blend(color, ball, open);
  const float ends = step_between(-.12f, .05f, 1 - std::abs(t));
  color = blend(color, Rgb(.08f, .05f, .05f), .9f * ends * near_line(dy - top, .016f));
  color = blend(color, color * .65f, ends * near_line(dy - bottom, .008f));
  color = blend(color, color * .68f,
                .8f * ends * near_line(dy - top + .045f, .009f));  // the fold above
}

void FacePainter::add_brow(float x, float y, Rgb& color) const {
  const float t = (std::abs(x) - .12f) / .4f;
  if (t < -.1f || t > 1.1f) return;
  const float thickness = .034f * p_.brow_thickness * (1 - .6f * std::clamp(t, 0.f, 1.f)) *
                          step_between(-.1f, .12f, t) * step_between(-.1f, .1f, 1 - t);
  const float hairs = .85f + .15f * wave_noise(x * 60 + y * 40, y * 25, p_.seed + 2);
  const Rgb hair = to_rgb(p_.hair) * .75f;
  color = blend(color, hair,
                .92f * hairs * near_line(y - shape_.brow_y(std::clamp(t, 0.f, 1.f)), thickness));
}

void FacePainter::add_nose(float x, float y, Rgb& color) const {
  const float base = .30f * p_.nose_length + .06f;
  const float side = std::abs(x);
  const float nostril_x = (side - .06f * p_.nose_width) / .036f,
              nostril_y = (y - base - .085f) / .02f;
  color =
      blend(color, color * .32f, .9f * std::exp(-nostril_x * nostril_x - nostril_y * nostril_y));
  const float under_y = (y - base - .115f) / .03f, under_x = x / (.13f * p_.nose_width);
  color *= 1 - .28f * std::exp(-under_x * under_x - under_y * under_y);
  const float wing_x = (side - .15f * p_.nose_width) / .022f, wing_y = (y - base - .03f) / .06f;
  color *= 1 - .22f * std::exp(-wing_x * wing_x - wing_y * wing_y);
  const float flank_x = (side - .10f) / .035f, flank_y = (y - .12f) / .16f;
  color *= 1 - .10f * std::exp(-flank_x * flank_x - flank_y * flank_y);
  const float fold_x = (side - .22f - .35f * (y - .42f)) / .02f, fold_y = (y - .5f) / .1f;
  color *= 1 - .15f * std::exp(-fold_x * fold_x - fold_y * fold_y);
}

void FacePainter::add_mouth(float x, float y, Rgb& color) const {
  const float t = x / shape_.mouth_half_width();
  if (std::abs(t) > 1.15f || y < .45f || y > 1) return;
  const float inside = std::clamp(t, -1.f, 1.f);
  const FaceShape::Lips lips = shape_.lips(inside);
  const float ends = step_between(-.02f, .06f, 1 - std::abs(t));
  const auto between = [&](float top, float bottom) {
    return ends * step_between(-soft_, soft_, std::min(y - top, bottom - y));
  };
  const Rgb lip = to_rgb(p_.lips);
  color = blend(color, lip * .88f, .9f * between(lips.upper_outer, lips.upper_inner));
  const float glow = std::exp(-std::pow((y - lips.lower_inner - .04f) / .02f, 2.f) - 6 * t * t);
  color = blend(color, lip * (1 + .12f * glow), .9f * between(lips.lower_inner, lips.lower_outer));
  Rgb gap(.16f, .05f, .05f);
  if (p_.mouth_open > .25f)
    gap = blend(gap, Rgb(.93f, .91f, .86f), 1 - step_between(.02f, .035f, y - lips.upper_inner));
  color = blend(color, gap, between(lips.upper_inner, lips.lower_inner));
  const float seam = (lips.upper_inner + lips.lower_inner) / 2;
  if (p_.mouth_open < .1f)
    color = blend(color, Rgb(.22f, .08f, .08f), .85f * ends * near_line(y - seam, .010f));
  const float below = (y - lips.lower_outer - .03f) / .022f;
  color *= 1 - .14f * std::exp(-below * below - 4 * t * t);
}

void FacePainter::add_beard(float x, float y, Rgb& color) const {
  if (p_.beard == BeardKind::none) return;
  const float side = std::abs(x);
  const float upper_edge = .50f - .55f * step_between(.45f, .75f, side);
  float where =
      step_between(-.05f, .07f, y - upper_edge + .03f * wave_noise(x * 14, y * 14, p_.seed + 3));
  const FaceShape::Lips lips = shape_.lips(std::clamp(x / shape_.mouth_half_width(), -1.f, 1.f));
  const bool at_lips =
      side < shape_.mouth_half_width() && y > lips.upper_outer && y < lips.lower_outer;
  if (at_lips) where = 0;
  if (p_.beard == BeardKind::moustache)
    where *=
        (1 - step_between(.22f, .30f, side)) * (1 - step_between(-.03f, .03f, y - kMouthY + .02f));
  const float hairs = .8f + .3f * wave_noise(x * 50, y * 22, p_.seed + 4);
  const float strength = p_.beard == BeardKind::stubble ? .35f : .93f;
  color =
      blend(color, to_rgb(p_.hair) * (.7f + .25f * hairs), where * strength * std::min(1.f, hairs));
}

float FacePainter::hairline(float angle) const {
  const float turn = std::abs(angle);
  const float side = step_between(.85f, 1.25f, turn);
  float front = -.60f;
  if (p_.hair_style == HairStyle::fringe)
    front = -.36f + .05f * wave_noise(angle * 7, 0, p_.seed + 5);
  if (p_.hair_style == HairStyle::parted) front = -.66f + .22f * std::abs(std::sin(angle - .35f));
  if (p_.hair_style == HairStyle::long_hair) front = -.62f + .2f * std::abs(std::sin(angle));
  const float back = step_between(1.45f, 1.9f, turn);
  const float at_ear = p_.hair_style == HairStyle::cropped ? -.12f : .10f;
  return std::lerp(std::lerp(front, at_ear, side), .62f, back) +
         .025f * wave_noise(angle * 16, 3, p_.seed + 6);
}

bool FacePainter::skin(const Fragment& at, Rgb& color) const {
  const float x = at.point.x(), y = at.point.y(), angle = angle_of(at);
  color = to_rgb(p_.skin);
  float gloss = .16f;
  if (std::abs(angle) < std::numbers::pi_v<float> / 2) {
    add_cheeks(at, color);
    add_nose(x, y, color);
    add_beard(x, y, color);
    add_mouth(x, y, color);
    add_eye(x, y, -1, color);
    add_eye(x, y, 1, color);
    add_brow(x, y, color);
  }
  if (p_.hair_style == HairStyle::bald) gloss = .3f;
  color = lit(color, at.normal, gloss);
  return true;
}

bool FacePainter::hair(const Fragment& at, Rgb& color) const {
  const float angle = angle_of(at), y = at.point.y();
  if (y > hairline(angle)) return false;
  const float strands = wave_noise(angle * 26 + 3 * y, y * 3, p_.seed + 7);
  const float locks = wave_noise(angle * 6, y * 2, p_.seed + 8);
  color = lit(to_rgb(p_.hair) * (1 + .22f * strands + .18f * locks), at.normal, .12f);
  return true;
}

bool FacePainter::long_hair(const Fragment& at, Rgb& color) const {
  const float angle = angle_of(at);
  if (std::abs(angle) < 1.22f + .12f * wave_noise(at.point.y() * 3, 1, p_.seed + 9)) return false;
  const float strands = wave_noise(angle * 24, at.point.y() * 2, p_.seed + 7);
  color = lit(to_rgb(p_.hair) * (.88f + .25f * strands), at.normal, .08f);
  return true;
}

Rgb FacePainter::mask_cloth(float angle, float y) const {
  const Rgb plain = to_rgb(p_.mask_color), other = to_rgb(p_.pattern_color);
  const float x = angle * .72f;
  float mark = 0;
  if (p_.pattern == MaskPattern::stripes) mark = near_line(from_stripe(x * 4 + y * 2) / 5, .035f);
  if (p_.pattern == MaskPattern::checks)
    mark =
        (near_line(from_stripe(x * 5) / 5, .035f) + near_line(from_stripe(y * 5) / 5, .035f)) / 2;
  if (p_.pattern == MaskPattern::dots || p_.pattern == MaskPattern::flowers) {
    const float row = std::floor(y * 7), shift = .5f * (row - 2 * std::floor(row / 2));
    const float dx = (x * 7 + shift - std::round(x * 7 + shift)) / 7, dy = (y * 7 - row - .5f) / 7;
    const float petals =
        p_.pattern == MaskPattern::dots ? 1 : .7f + .5f * std::cos(5 * std::atan2(dy, dx));
    mark = near_line(std::hypot(dx, dy), .034f * petals);
  }
  return blend(plain, other, mark);
}

bool FacePainter::mask(const Fragment& at, Rgb& color) const {
  const float angle = angle_of(at), y = at.point.y(), top = shape_.mask_top(angle);
  const float side = p_.mask == MaskKind::n95 ? 1.05f : 1.2f;
  if (y < top || std::abs(angle) > side - .12f * std::abs(y - .6f)) return false;
  const float down = (y - top) / (1.07f - top);
  color = mask_cloth(angle, y);
  color *= 1 + .025f * wave_noise(angle * 45, y * 45, p_.seed + 10);
  Vec3 normal = at.normal;
  if (p_.mask == MaskKind::surgical) {  // three pleats, flat towards the ears' seams
    const float phase = down * 4 - std::floor(down * 4);
    const float middle = 1 - step_between(.85f, 1.1f, std::abs(angle));
    if (down > .12f && down < .9f) {
      color *= 1 - .20f * middle * std::exp(-phase * phase / .012f);
      normal.y() += .28f * middle * (phase - .5f);
    }
    if (p_.wear == MaskWear::proper)
      normal.y() -= .25f * near_line(down - .06f, .03f);  // the nose wire
  }
  if (p_.mask == MaskKind::cloth) color *= 1 - .28f * near_line(std::sin(angle), .008f);
  if (p_.mask == MaskKind::n95) {
    color *= 1 - .15f * near_line(down - .42f, .012f);
    color = blend(color, Rgb(.55f, .57f, .6f),
                  near_line(std::hypot(angle / .3f, (down - .05f) / .05f) - .5f, .3f));
  }
  normal.x() += .10f * wave_noise(angle * 5 + y * 3, y * 6, p_.seed + 11);
  normal.y() += .10f * wave_noise(angle * 4, y * 7 - angle * 2, p_.seed + 12);
  const float edge = std::min({down, 1 - down, (side - std::abs(angle)) * .8f});
  color *= 1 - .16f * near_line(edge - .035f, .008f);  // the hem's stitching
  color = lit(color, normal.normalized(), .03f);
  return true;
}

bool FacePainter::clothes(const Fragment& at, Rgb& color) const {
  const float collar = at.point.y() - 1.50f - .18f * at.point.z();
  color = collar > 0 ? to_rgb(p_.clothes) *
                           (1 + .06f * wave_noise(at.point.x() * 8, at.point.y() * 8, p_.seed + 13))
                     : to_rgb(p_.skin) * (.72f + .2f * step_between(1.1f, 1.5f, at.point.y()));
  color = lit(color, at.normal);
  return true;
}

bool FacePainter::scarf(const Fragment& at, Rgb& color) const {
  const float folds = wave_noise(at.u * 9, at.point.y() * 12 + at.u * 4, p_.seed + 14);
  color = blend(to_rgb(p_.pattern_color), to_rgb(p_.clothes),
                near_line(from_stripe(at.u * 9 + at.point.y() * 3) / 5, .05f));
  color = lit(color * (1 + .2f * folds), at.normal);
  return true;
}

}  // namespace maskwatch::vision
