#include "vision/drawn/face_shape.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace maskwatch::vision {
namespace {

constexpr float kCrown = -1.05f, kChin = 1.05f;

float bump(float x, float y, float centre_x, float centre_y, float width, float height) {
  const float dx = (x - centre_x) / width, dy = (y - centre_y) / height;
  return std::exp(-dx * dx - dy * dy);
}

float root(float value) { return std::sqrt(std::max(0.f, value)); }

float power(float value, int exponent) {
  float out = 1;
  for (int i = 0; i < exponent; ++i) out *= value;
  return out;
}

}  // namespace

float FaceShape::half_width(float y) const {
  const float wide = .77f * p_.face_width;
  if (y < 0) return wide * std::pow(root(1 - y * y / (kCrown * kCrown)), .85f);
  const float t = std::min(y / kChin, 1.f);
  const float taper = .50f - .25f * (p_.jaw_width - 1);
  return wide * (1 - taper * std::pow(t, 2.2f)) * root(1 - power(t, 8));
}

float FaceShape::front_depth(float y) const {
  if (y < 0) return .80f * std::pow(root(1 - y * y / (kCrown * kCrown)), .8f);
  const float t = std::min(y / kChin, 1.f);
  return (.80f - .10f * t * t) * root(1 - power(t, 10));
}

float FaceShape::back_depth(float y) const {
  if (y < 0) return .95f * root(1 - y * y / (kCrown * kCrown));
  const float t = std::min(y / kChin, 1.f);
  return (.95f - .60f * t) * root(1 - power(t, 6));
}

float FaceShape::bumps(float x, float y) const {
  const float tip = .30f * p_.nose_length + .06f, width = p_.nose_width;
  float out = 0;
  const float along = std::clamp((y + .08f) / (tip + .08f), 0.f, 1.3f);  // down the bridge
  if (y > -.30f && y < tip + .13f) {
    const float fall = y > tip ? std::max(0.f, 1 - (y - tip) / .13f) : 1;
    const float ridge = (.07f + .02f * width) * (1 + .5f * along);
    const float begin = std::clamp((y + .30f) / .25f, 0.f, 1.f);
    out += (.04f * begin * begin * (3 - 2 * begin) + .19f * along * along) * fall * fall *
           bump(x, 0, 0, 0, ridge, 1);
  }
  for (const float side : {-1.f, 1.f}) {
    out += .08f * bump(x, y, side * .105f * width, tip + .02f, .065f, .075f);
    out -= .085f * bump(x, y, side * .29f, kEyeY, .15f, .12f);
    out += .035f * bump(x, y, side * kEyeX, kEyeY, .10f, .07f);  // the ball
    out += .045f * bump(x, y, side * .42f, .30f, .20f, .20f);
    out += .03f * bump(x, y, side * .25f, -.22f, .18f, .07f);
  }
  out += .055f * bump(x, y, 0, kMouthY, .2f, .10f);
  out -= .03f * bump(x, y, 0, .83f, .2f, .06f);
  out += .05f * bump(x, y, 0, .96f, .17f, .10f);
  return out;
}

Vec3 FaceShape::skin(float angle, float y, float outwards, float detail) const {
  const float s = std::sin(angle), c = std::cos(angle), wide = half_width(y);
  const float depth = c >= 0 ? front_depth(y) : back_depth(y);
  Vec3 point(wide * s, y, depth * c);
  const float in_front = std::clamp(c * 1.6f, 0.f, 1.f);
  point.z() += detail * in_front * bumps(point.x(), y);
  if (outwards != 0) {
    const Vec3 away(s * .9f, y < 0 ? y * .7f : std::max(0.f, y - .75f), c);
    point += outwards * away.normalized();
  }
  return point;
}

Vec3 FaceShape::front(float x, float y, float outwards) const {
  const float wide = std::max(half_width(y), 1e-3f);
  Vec3 point = skin(std::asin(std::clamp(x / wide, -1.f, 1.f)), y);
  point.z() += outwards;
  return point;
}

float FaceShape::mask_top(float angle) const {
  constexpr float proper = .07f, under_nose = .50f, on_chin = .80f;
  const float middle = p_.wear == MaskWear::proper       ? proper
                       : p_.wear == MaskWear::under_nose ? under_nose
                                                         : on_chin;
  const float side = std::abs(std::sin(angle));
  const float end = p_.wear == MaskWear::proper       ? .27f
                    : p_.wear == MaskWear::under_nose ? .48f
                                                      : .72f;
  return middle + (end - middle) * std::min(1.f, std::pow(side * 1.05f, .8f));
}

Vec3 FaceShape::cloth(float angle, float y) const {
  // The head's slices continue below the chin instead of closing, so that the cloth wraps it.
  const float held = std::min(y, .86f);
  const float s = std::sin(angle), c = std::cos(angle);
  const float under = std::clamp((y - .86f) / .21f, 0.f, 1.f);
  Vec3 point(half_width(held) * s, y, front_depth(held) * c);
  const float x = point.x();
  const float in_front = std::clamp(c * 1.6f, 0.f, 1.f);
  float lift = .20f * bump(x, y, 0, .36f, .30f, .34f) + .10f * bump(x, y, 0, .72f, .32f, .3f);
  if (p_.mask == MaskKind::n95) lift += .17f * bump(x, y, 0, .52f, .34f, .30f);
  if (p_.mask == MaskKind::cloth) lift += .05f * bump(x, y, 0, .5f, .16f, .4f);
  point.z() += in_front * std::max(lift, bumps(x, std::min(y, 1.f)) + .01f);
  point.z() -= .42f * under * under;
  point.x() *= 1 - .42f * under * under;
  const Vec3 away(s, 0, c);
  return point + .035f * away;
}

float FaceShape::upper_lid(float t) const {
  return (-.075f * p_.eye_size * p_.eye_open) * (1 - t * t) - .012f * (1 - std::abs(t));
}

float FaceShape::lower_lid(float t) const {
  return .042f * p_.eye_size * std::sqrt(std::max(.05f, p_.eye_open)) * (1 - t * t);
}

float FaceShape::brow_y(float t) const {
  const float arch = std::sin(std::numbers::pi_v<float> * (t * .72f + .12f));
  return -.175f - .05f * p_.brow_lift - .055f * arch + .005f * t;
}

FaceShape::Lips FaceShape::lips(float t) const {
  const float away = std::abs(t), body = 1 - t * t;
  const float corner = kMouthY - .075f * p_.smile * t * t + .02f * p_.smile;
  const float bow = .012f * std::exp(-t * t / .02f);  // the notch of the upper lip
  const float open = .13f * p_.mouth_open * std::pow(body, .7f);
  Lips out;
  out.upper_inner = corner - .25f * open;
  out.lower_inner = corner + .75f * open + .001f;
  out.upper_outer = out.upper_inner - .06f * std::pow(1 - away, .55f) + bow;
  out.lower_outer = out.lower_inner + .085f * std::pow(body, .8f);
  return out;
}

std::array<Vec3, 68> FaceShape::landmarks() const {
  std::array<Vec3, 68> out;
  // Along the edge of the jaw, by equal steps of a turn from ear to ear through the chin.
  for (int i = 0; i < 17; ++i) {
    const float turn = static_cast<float>(i - 8) / 8;  // -1 .. 1
    const float y = kChin * .985f * std::cos(turn * 1.55f);
    const float around = std::min(1.f, std::abs(turn) * 4);
    const float angle = (turn < 0 ? -1.f : 1.f) * around * 1.32f;
    out[i] = skin(angle, y);
  }
  for (int i = 0; i < 5; ++i) {
    const float t = static_cast<float>(4 - i) / 4;
    out[17 + i] = front(-brow_x(t), brow_y(t));
    out[26 - i] = front(brow_x(t), brow_y(t));
  }
  const float tip = .30f * p_.nose_length + .06f;
  for (int i = 0; i < 4; ++i)
    out[27 + i] = front(0, kEyeY + (tip - kEyeY) * static_cast<float>(i) / 3);
  for (int i = 0; i < 5; ++i) {
    const float side = static_cast<float>(i - 2) / 2;
    out[31 + i] = front(.135f * p_.nose_width * side, tip + .10f - .03f * std::abs(side));
  }
  constexpr float lid_t[6] = {-1, -.36f, .36f, 1, .36f, -.36f};
  for (int i = 0; i < 6; ++i) {
    const float t = lid_t[i];
    const float y = kEyeY + (i == 0 || i == 3 ? 0 : i < 3 ? upper_lid(t) : lower_lid(t));
    out[36 + i] = front(-kEyeX + t * eye_half_width(), y);
    // the other eye starts at its inner corner, which is on its left as well
    out[42 + i] = front(kEyeX + t * eye_half_width(), y);
  }
  const float wide = mouth_half_width();
  constexpr float outer_t[12] = {-1, -.62f, -.22f, 0, .22f, .62f, 1, .62f, .25f, 0, -.25f, -.62f};
  for (int i = 0; i < 12; ++i) {
    const Lips lip = lips(outer_t[i]);
    out[48 + i] = front(outer_t[i] * wide, i <= 6 ? lip.upper_outer : lip.lower_outer);
  }
  constexpr float inner_t[8] = {-.9f, -.3f, 0, .3f, .9f, .3f, 0, -.3f};
  for (int i = 0; i < 8; ++i) {
    const Lips lip = lips(inner_t[i]);
    out[60 + i] = front(inner_t[i] * wide, i <= 4 ? lip.upper_inner : lip.lower_inner);
  }
  return out;
}

}  // namespace maskwatch::vision
