#include "vision/drawn/mask_flat.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/vision/drawn/masked_faces.h"

using namespace maskwatch;

using namespace masked_faces;

TEST_CASE("the flat mask lies between nose bridge and chin, its halves by the jaw") {
  const vision::DrawnFace face = bare_face(11, 200);
  const auto masked = vision::paste_flat_mask(face.picture, face.landmarks);
  CHECK(hidden(masked.covered, face.landmarks, 60, 68) == 1);
  CHECK(hidden(masked.covered, face.landmarks, 36, 48) == 0);
  int low = 200, high = -1;
  for (int y = 0; y < 200; ++y)
    for (int x = 0; x < 200; ++x)
      if (*masked.covered.at(x, y) > 127) low = std::min(low, y), high = std::max(high, y);
  CHECK(std::abs(static_cast<float>(low) - face.landmarks[28].y) < 8);
  CHECK(std::abs(static_cast<float>(high) - face.landmarks[8].y) < 8);
}
