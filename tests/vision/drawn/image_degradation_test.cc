#include "vision/drawn/image_degradation.h"

#include <doctest/doctest.h>

#include "vision/drawn/face_generator.h"

using namespace maskwatch;

using vision::Image;

TEST_CASE("blur and noise of a picture are measured, roughly") {
  vision::FaceParameters p = vision::random_face(2, false);
  p.blur = p.noise = 0;
  const vision::PixelBox all{0, 0, 200, 200};
  const Image sharp = vision::draw_face(p, 200, 200).picture;
  p.blur = 2;
  const Image soft = vision::draw_face(p, 200, 200).picture;
  CHECK(vision::measure_degradation(sharp, all).blur < 1.2);
  CHECK(vision::measure_degradation(soft, all).blur > 1.4);
  p.blur = 0;
  p.noise = 12;
  const Image noisy = vision::draw_face(p, 200, 200).picture;
  CHECK(vision::measure_degradation(sharp, all).noise < 3);
  CHECK(vision::measure_degradation(noisy, all).noise > 8);
  CHECK(vision::measure_degradation(noisy, all).noise < 16);
  CHECK(vision::measure_degradation(sharp, {0, 0, 4, 4}).noise == 0);
}
