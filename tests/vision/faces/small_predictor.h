// A landmark predictor small enough to follow by hand, in dlib's serialisation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>

#include "vision/faces/landmarks.h"

namespace maskwatch::small_predictor {

class Writer {
 public:
  std::string bytes;

  void integer(long long value) {
    unsigned long long magnitude = value < 0 ? -static_cast<unsigned long long>(value) : value;
    std::string digits;
    do {
      digits += static_cast<char>(magnitude & 255);
      magnitude >>= 8;
    } while (magnitude != 0);
    bytes += static_cast<char>(digits.size() | (value < 0 ? 0x80 : 0));
    bytes += digits;
  }

  void number(float value) {
    int exponent = 0;
    const float fraction = std::frexp(value, &exponent);
    integer(static_cast<long long>(std::ldexp(fraction, 24)));
    integer(exponent - 24);
  }

  void shape(const std::function<float(int)>& value, int rows = 136) {
    integer(-rows);
    integer(-1);
    for (int i = 0; i < rows; ++i) number(value(i));
  }
};

inline float mean_shape(int i) { return i % 2 == 0 ? (i / 2 % 10) / 9.f : (i / 20) / 6.f; }

struct Odd {
  int version = 1;
  int points = 68;
  int pixel = 1;
  int anchor = 60;
  int anchor_lists = 1;
  int deltas = 2;
  int leaves = 2;
  long long trees = 2;
  float delta = .125f;
};

// Two trees that compare the pixel at point 0 with the one beside point 60: where the first is
// brighter by 10, x grows by 1/4; where by 100, y shrinks by 1/2. Otherwise nothing moves.
inline std::string predictor_bytes(const Odd& odd = {}) {
  Writer w;
  w.integer(odd.version);
  w.shape(mean_shape, 2 * odd.points);
  w.integer(1);
  w.integer(odd.trees);
  for (int tree = 0; tree < 2; ++tree) {
    w.integer(1);
    w.integer(0);
    w.integer(odd.pixel);
    w.number(tree == 0 ? 10 : 100);
    w.integer(odd.leaves);
    w.shape([&](int i) { return tree == 0 ? (i % 2 == 0 ? .25f : 0) : (i % 2 == 0 ? 0 : -.5f); });
    for (int leaf = 1; leaf < odd.leaves; ++leaf) w.shape([](int) { return 0.f; });
  }
  w.integer(odd.anchor_lists);
  w.integer(2);
  w.integer(0);
  w.integer(odd.anchor);
  w.integer(1);
  w.integer(odd.deltas);
  for (int i = 0; i < odd.deltas; ++i) {
    w.number(i == 0 ? 0.f : odd.delta);
    w.number(0);
  }
  return w.bytes;
}

inline bool finite(const vision::Landmarks& points) {
  return std::all_of(points.begin(), points.end(),
                     [](auto p) { return std::isfinite(p.x) && std::isfinite(p.y); });
}

inline vision::Image flat(int width, int height, int channels, int value) {
  vision::Image image(width, height, channels);
  std::fill(image.pixels.begin(), image.pixels.end(), static_cast<std::uint8_t>(value));
  return image;
}

// The box spans pixels 20..110 and 30..90, so point 0 is (20, 30) and the pixel beside point 60 is
// (20 + 90 / 8, 90).
inline const vision::Box kBox{20, 30, 91, 61};

}  // namespace maskwatch::small_predictor
