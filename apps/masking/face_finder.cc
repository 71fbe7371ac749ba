#include "apps/masking/face_finder.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/per_thread.h"
#include "vision/faces/face_detector.h"

namespace maskwatch::apps {
namespace {

constexpr float least_share = 1.f / 3;  // of the largest face's width

struct Tools {  // of one thread
  std::unique_ptr<vision::FaceDetector> detector;
  std::unique_ptr<vision::LandmarkFinder> landmarks;
};

FoundFaces look(Tools& tools, const vision::Image& photo) {
  std::vector<vision::Detection> found = tools.detector->detect(photo);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.box.width * a.box.height > b.box.width * b.box.height;
  });
  FoundFaces out;
  for (const vision::Detection& face : found) {
    if (face.box.width < least_share * found.front().box.width) continue;
    vision::LandmarkFit fit = tools.landmarks->find(photo, face.box);
    if (!tools.landmarks->holds(fit)) {
      ++out.without_landmarks;
      continue;
    }
    for (vision::Point& point : fit.points) point = {point.x + .5f, point.y + .5f};
    out.faces.push_back(fit.points);
  }
  return out;
}

}  // namespace

FaceFinder detector_and_landmarks(const std::string& face,
                                  const vision::LandmarkFinder& landmarks) {
  const auto make = [face, landmarks = std::shared_ptr(landmarks.copy())] {
    return Tools{vision::make_face_detector(face), landmarks->copy()};
  };
  const auto tools = std::make_shared<PerThread<Tools>>(make);
  return [tools](const vision::Image& photo, const std::string&, float) {
    const auto own = tools->take();
    return look(*own, photo);
  };
}

}  // namespace maskwatch::apps
