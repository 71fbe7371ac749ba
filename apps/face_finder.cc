#include "apps/face_finder.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/parallel.h"
#include "vision/face_detector.h"

namespace apps {
namespace {

constexpr float box_side = 2.83f, box_above = .085f;  // in root mean square distances of the points
constexpr float most_spread = .024f;                  // of the predictor's answers on a face
constexpr float least_share = 1.f / 3;                // of the largest face's width

struct Tools {
  std::vector<std::unique_ptr<vision::FaceDetector>> detectors;  // one a thread
  vision::LandmarkPredictor predictor;
};

// Detectors' boxes differ: the points of a first answer say where the box should have been.
vision::LandmarkFit points_in(const vision::LandmarkPredictor& predictor,
                              const vision::Image& photo, const vision::Box& box) {
  const float side = std::max(box.width, box.height) * .95f;
  const vision::Box square{box.x + (box.width - side) / 2, box.y + box.height - side, side, side};
  const vision::Landmarks first = predictor.predict(photo, square);
  return vision::fit_landmarks(predictor, photo, settled_box(first));
}

FoundFaces look(Tools& tools, const vision::Image& photo) {
  const auto thread = static_cast<std::size_t>(kernels::thread_index());
  std::vector<vision::Detection> found = tools.detectors[thread]->detect(photo);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.box.width * a.box.height > b.box.width * b.box.height;
  });
  FoundFaces out;
  for (const vision::Detection& face : found) {
    if (face.box.width < least_share * found.front().box.width) continue;
    vision::LandmarkFit fit = points_in(tools.predictor, photo, face.box);
    if (!(fit.spread < most_spread)) {
      ++out.without_landmarks;
      continue;
    }
    for (vision::Point& point : fit.points) point = {point.x + .5f, point.y + .5f};
    out.faces.push_back(fit.points);
  }
  return out;
}

}  // namespace

vision::Box settled_box(const std::array<vision::Point, 68>& points) {
  vision::Point middle;
  for (const vision::Point& p : points) {
    middle.x += p.x / 68;
    middle.y += p.y / 68;
  }
  float spread = 0;
  for (const vision::Point& p : points)
    spread += (std::pow(p.x - middle.x, 2.f) + std::pow(p.y - middle.y, 2.f)) / 68;
  spread = std::max(std::sqrt(spread), 1.f);
  const float side = box_side * spread;
  return {middle.x - side / 2, middle.y - box_above * spread - side / 2, side, side};
}

FaceFinder detector_and_landmarks(const std::string& face, const std::string& landmark_file) {
  const auto tools =
      std::make_shared<Tools>(Tools{{}, vision::LandmarkPredictor::load(landmark_file)});
  for (int i = 0; i < kernels::threads(); ++i)
    tools->detectors.push_back(vision::make_face_detector(face));
  return [tools](const vision::Image& photo, const std::string&, float) {
    return look(*tools, photo);
  };
}

}  // namespace apps
