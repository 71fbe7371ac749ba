#include "vision/faces/landmarks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "vision/faces/landmark_file.h"
#include "vision/faces/landmark_trees.h"

namespace maskwatch::vision {
namespace {

constexpr float kFarthest = 1 << 24;

void check(const Image& image, const Box& box) {
  if (image.empty() || !is_sound(image))
    throw std::invalid_argument(
        "LandmarkPredictor::predict: picture of " + std::to_string(image.width) + "x" +
        std::to_string(image.height) + " with " + std::to_string(image.channels) +
        " channels and " + std::to_string(image.pixels.size()) + " bytes; wants 1 or 3 channels");
  const auto near = [](float value) { return std::abs(value) <= kFarthest; };
  if (!near(box.x) || !near(box.y) || !near(box.width) || !near(box.height) || box.width <= 0 ||
      box.height <= 0)
    throw std::invalid_argument("LandmarkPredictor::predict: box of " + std::to_string(box.width) +
                                "x" + std::to_string(box.height) + " at (" + std::to_string(box.x) +
                                ", " + std::to_string(box.y) + ")");
}

}  // namespace

std::span<const Point> points_of(const Landmarks& points, const LandmarkRange& range) {
  return std::span(points).subspan(range.first, range.count);
}

LandmarkPredictor::LandmarkPredictor(std::shared_ptr<const Model> model)
    : model_(std::move(model)) {}

LandmarkPredictor LandmarkPredictor::load(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error))
    throw std::runtime_error(file + ": no such file");
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (error || !stream) throw std::runtime_error(file + ": cannot be read");
  const ByteSource source = [&](char* bytes, std::size_t count) {
    stream.read(bytes, static_cast<std::streamsize>(count));
    return static_cast<std::size_t>(stream.gcount());
  };
  return LandmarkPredictor(std::make_shared<const Model>(read_landmark_trees(source, size, file)));
}

LandmarkPredictor LandmarkPredictor::parse(std::string_view bytes, const std::string& name) {
  std::size_t at = 0;
  const ByteSource source = [&](char* out, std::size_t count) {
    count = std::min(count, bytes.size() - at);
    std::memcpy(out, bytes.data() + at, count);
    at += count;
    return count;
  };
  return LandmarkPredictor(
      std::make_shared<const Model>(read_landmark_trees(source, bytes.size(), name)));
}

Landmarks LandmarkPredictor::predict(const Image& image, const Box& box) const {
  check(image, box);
  return run_landmark_trees(*model_, image, box);
}

LandmarkFit fit_landmarks(const LandmarkPredictor& predictor, const Image& image, const Box& box) {
  return fit_landmarks([&](const Box& moved) { return predictor.predict(image, moved); }, box);
}

LandmarkFit fit_landmarks(const std::function<Landmarks(const Box&)>& predict, const Box& box) {
  struct Move {
    float x, y, scale;  // shares of the box
  };
  constexpr std::array<Move, 5> moves{
      {{0, 0, 1}, {-.06f, -.06f, 1}, {.06f, -.06f, 1}, {0, .06f, 1.08f}, {0, .03f, .92f}}};
  std::array<Landmarks, moves.size()> answers;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    const Move& move = moves[i];
    const float width = box.width * move.scale, height = box.height * move.scale;
    answers[i] = predict({box.x + (box.width - width) / 2 + move.x * box.width,
                          box.y + (box.height - height) / 2 + move.y * box.height, width, height});
  }
  LandmarkFit fit{answers[0], 0};
  double squares = 0;
  for (std::size_t p = 0; p < fit.points.size(); ++p) {
    double x = 0, y = 0, xx = 0, yy = 0;
    for (const Landmarks& answer : answers) {
      const double dx = answer[p].x - fit.points[p].x, dy = answer[p].y - fit.points[p].y;
      x += dx;
      y += dy;
      xx += dx * dx;
      yy += dy * dy;
    }
    const double n = answers.size();
    squares += (xx - x * x / n + yy - y * y / n) / n;
  }
  fit.spread = static_cast<float>(std::sqrt(std::max(0.0, squares) / fit.points.size()) /
                                  std::sqrt(double{box.width} * box.height));
  return fit;
}

}  // namespace maskwatch::vision
