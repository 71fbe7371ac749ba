#include "apps/masking/face_finder.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "base/file.h"
#include "base/per_thread.h"
#include "vision/faces/face_detector.h"

namespace maskwatch::apps {
namespace {

constexpr float kLeastShare = 1.f / 3;  // of the largest face's width

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
    if (face.box.width < kLeastShare * found.front().box.width) continue;
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

FaceFinder make_face_finder(const std::string& face, const vision::LandmarkFinder& landmarks) {
  const auto make = [face, landmarks = std::shared_ptr(landmarks.copy())] {
    return Tools{vision::make_face_detector(face), landmarks->copy()};
  };
  const auto tools = std::make_shared<PerThread<Tools>>(make);
  return [tools](const vision::Image& photo, const std::string&, float) {
    const auto own = tools->take();
    return look(*own, photo);
  };
}

FoundFaces landmarks_beside(const std::string& path, float scale) {
  const std::string file = std::filesystem::path(path).replace_extension(".txt").string();
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  std::istringstream text(read_file(file));
  std::vector<float> numbers;
  for (float number; text >> number;) numbers.push_back(number);
  if (!text.eof() || numbers.empty() || numbers.size() % 136 != 0)
    throw std::runtime_error(
        fmt::format("{}: holds no landmarks: 68 lines 'x y' for each face are needed", file));
  FoundFaces found;
  for (std::size_t face = 0; face < numbers.size(); face += 136) {
    auto& points = found.faces.emplace_back();
    for (std::size_t i = 0; i < 68; ++i)
      points[i] = {numbers[face + 2 * i] * scale, numbers[face + 2 * i + 1] * scale};
  }
  return found;
}

}  // namespace maskwatch::apps
