// dlib's predictor files, to the points of a face.
#include "tests/fuzz/fuzz.h"
#include "tests/vision/faces/small_predictor.h"
#include "vision/faces/landmarks.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() { return {small_predictor::predictor_bytes()}; }

bool run(std::string_view bytes) {
  return expect_faults([&] {
    const auto predictor = vision::LandmarkPredictor::parse(bytes, "landmarks");
    const vision::Image image(40, 30, 1);
    vision::fit_landmarks(predictor, image, {5, 5, 20, 20});
    vision::fit_landmarks(predictor, image, {-300, 1000, 400, 1});
  });
}

}  // namespace

const Target landmarks{"landmarks", seeds, run, nullptr, true};

}  // namespace maskwatch::fuzz
