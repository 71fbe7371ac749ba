// Driven by bench/peers/landmarks_dlib.py: reads a JSON list of raw pictures with boxes, prints the
// 68 points of each and the least time that a face took.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "nn/file.h"
#include "vision/landmarks.h"

namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

vision::Image read_raw(const json& job) {
  vision::Image image(job.at("width"), job.at("height"), job.at("channels"));
  const std::string bytes = nn::read_file(job.at("file").get<std::string>());
  image.pixels.assign(bytes.begin(), bytes.end());
  return image;
}

int run(const std::string& model) {
  const json jobs = json::parse(std::cin);
  const auto start = Clock::now();
  const auto predictor = vision::LandmarkPredictor::load(model);
  const double load = seconds_since(start);
  double best = 1e9;
  json faces = json::array();
  for (const json& job : jobs) {
    const vision::Image image = read_raw(job);
    const auto box = job.at("box").get<std::array<float, 4>>();
    const auto begin = Clock::now();
    const auto points = predictor.predict(image, {box[0], box[1], box[2], box[3]});
    best = std::min(best, seconds_since(begin));
    json& face = faces.emplace_back(json::array());
    for (const vision::Point& p : points) face.push_back({p.x, p.y});
  }
  std::cout << json{{"points", faces}, {"ms", best * 1e3}, {"load_s", load}} << "\n";
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    if (count == 2) return run(words[1]);
    fmt::print(stderr, "usage: landmarks_predict MODEL < JOBS.json\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
  }
  return 2;
}
