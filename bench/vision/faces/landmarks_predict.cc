// Driven by bench/peers/landmarks_dlib.py and tests/vision/faces/landmarks_peer_test.py: reads a
// JSON list of raw pictures with boxes, prints the 68 points of each, the least time that a face
// took, and how long the model took to load. MODEL is dlib's (.dat) or a converted network
// (.safetensors), whose input and output for each face go to RAW as float32, one after the other.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/parallel.h"
#include "vision/faces/landmark_network.h"
#include "vision/faces/landmarks.h"

using namespace maskwatch;

namespace {

using Clock = std::chrono::steady_clock;
using Predict = std::function<vision::Landmarks(const vision::Image&, const vision::Box&)>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

vision::Image read_raw(const JsonFields& job) {
  const auto size = [&](const char* key) {
    return static_cast<int>(job[key].whole_number(1, 1 << 16));
  };
  vision::Image image(size("width"), size("height"), size("channels"));
  const std::string bytes = read_file(job["file"].text());
  image.pixels.assign(bytes.begin(), bytes.end());
  return image;
}

vision::Box box_of(const JsonFields& job) {
  const std::vector<double> box = job["box"].numbers(4);
  return {static_cast<float>(box[0]), static_cast<float>(box[1]), static_cast<float>(box[2]),
          static_cast<float>(box[3])};
}

void answer(const std::vector<JsonFields>& jobs, const Predict& predict, double load) {
  double best = 1e9;
  Json faces = Json::list();
  for (const JsonFields& job : jobs) {
    const vision::Image image = read_raw(job);
    const auto begin = Clock::now();
    const auto points = predict(image, box_of(job));
    best = std::min(best, seconds_since(begin));
    Json face = Json::list();
    for (const vision::Point& p : points) face.push_back(Json::list({p.x, p.y}));
    faces.push_back(std::move(face));
  }
  std::cout << Json::object({{"points", faces}, {"ms", best * 1e3}, {"load_s", load}}).dump()
            << "\n";
}

void write_raw(const std::vector<JsonFields>& jobs, vision::LandmarkNetwork& network,
               const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  const auto write = [&](std::span<const float> numbers) {
    file.write(reinterpret_cast<const char*>(numbers.data()),
               static_cast<std::streamsize>(numbers.size_bytes()));
  };
  for (const JsonFields& job : jobs) {
    const std::vector<float> input = network.network_input(read_raw(job), box_of(job));
    write(input);
    write(network.run(input));
  }
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

int run(const std::string& model, const std::string& raw) {
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const std::vector<JsonFields> jobs = JsonFields::parse(text, "standard input").list();
  set_threads(1);
  const auto start = Clock::now();
  if (model.ends_with(".safetensors")) {
    vision::LandmarkNetwork network(model);
    const double load = seconds_since(start);
    if (!raw.empty()) write_raw(jobs, network, raw);
    answer(
        jobs, [&](const auto& image, const auto& box) { return network.predict(image, box); },
        load);
    return 0;
  }
  const auto predictor = vision::LandmarkPredictor::load(model);
  const double load = seconds_since(start);
  answer(
      jobs, [&](const auto& image, const auto& box) { return predictor.predict(image, box); },
      load);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    if (count == 2 || count == 3) return run(words[1], count == 3 ? words[2] : "");
    fmt::print(stderr, "usage: landmarks_predict MODEL [RAW] < JOBS.json\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
  }
  return 2;
}
