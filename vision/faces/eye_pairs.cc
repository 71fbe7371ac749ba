#include "vision/faces/eye_pairs.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::vision {
namespace {

constexpr float kMaxOverlap = .3f;
constexpr std::size_t kMostEyes = 256;

struct Eye {
  float x, y, size, score;
};

Eye eye_of(const Detection& found) {
  const auto [x, y] = center(found.box);
  return {x, y, (found.box.width + found.box.height) / 2, found.score};
}

// Two of the eyes, and the face that they make.
struct Pair {
  std::size_t left, right;
  Detection face;
};

bool belong_together(const Eye& left, const Eye& right) {
  const float across = right.x - left.x, size = (left.size + right.size) / 2;
  const float ratio = left.size / right.size;
  return across > size && across < 2.4f * size && std::abs(right.y - left.y) <= .35f * across &&
         ratio > .6f && ratio < 1.65f;
}

Detection face_of(const Eye& left, const Eye& right) {
  const float across = right.x - left.x, width = 2.2f * across;
  return {{(left.x + right.x - width) / 2, (left.y + right.y - width) / 2 + .45f * across, width,
           width},
          std::min(left.score, right.score)};
}

}  // namespace

std::vector<Detection> faces_of_eyes(std::span<const Detection> eyes) {
  const auto surest = non_maximum_suppression({eyes.begin(), eyes.end()}, kMaxOverlap, kMostEyes);
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < surest.size(); ++i)
    for (std::size_t j = 0; j < surest.size(); ++j)
      if (const Eye left = eye_of(surest[i]), right = eye_of(surest[j]);
          belong_together(left, right))
        pairs.push_back({i, j, face_of(left, right)});
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.face.score > b.face.score; });
  std::vector<bool> taken(surest.size());
  std::vector<Detection> faces;
  for (const Pair& pair : pairs) {
    if (taken[pair.left] || taken[pair.right]) continue;
    taken[pair.left] = taken[pair.right] = true;
    faces.push_back(pair.face);
  }
  const std::size_t count = faces.size();
  return non_maximum_suppression(std::move(faces), kMaxOverlap, count);
}

}  // namespace maskwatch::vision
