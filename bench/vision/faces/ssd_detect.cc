// Finds faces in pictures by an SSD detector and tells what and how fast, for comparison with a
// peer that runs beside it: reads picture files' names from standard input, one a line, and answers
// each with one line of JSON: {"faces": [[x, y, width, height, score], …], "network_ms", "ms"},
// the best of --repeat for the network alone and for all from pixels to faces. --raw FILE is
// written anew for each picture: the network's input, scores and boxes (left, top, right, bottom in
// shares of the input), as float32 one after the other.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <limits>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/json.h"
#include "base/parallel.h"
#include "vision/faces/published_ssd.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

template <typename Work>
double best_ms(int repeat, const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeat; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return best;
}

void write(std::ofstream& file, std::span<const float> numbers) {
  file.write(reinterpret_cast<const char*>(numbers.data()),
             static_cast<std::streamsize>(numbers.size_bytes()));
}

void write_raw(const std::string& path, vision::PublishedSsd& detector,
               std::span<const float> input) {
  const auto raw = detector.run(input);
  std::ofstream file(path, std::ios::binary);
  write(file, input);
  write(file, raw.scores);
  for (const vision::Box& box : detector.decode(raw.boxes))
    write(file, std::array{box.x, box.y, box.x + box.width, box.y + box.height});
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

int run(int argc, char** argv) {
  apps::OptionParser parser(
      "ssd_detect", "Faces and times of an SSD detector for pictures named on standard input");
  std::string model, raw;
  vision::SsdOptions options;
  float max_overlap = 0.3f;
  int repeat = 1, threads = 1;
  parser.add("--model", &model).required();
  parser.add("--confidence", &options.confidence);
  parser.add("--max-overlap", &max_overlap);
  parser.add("--repeat", &repeat).range(1, 1 << 20);
  parser.add("--threads", &threads);
  parser.add("--raw", &raw);
  parser.parse(argc, argv);
  options.max_overlap = max_overlap;
  set_threads(threads);
  vision::PublishedSsd detector(model);
  for (std::string line; std::getline(std::cin, line);) {
    const vision::Image image = vision::load_image(line);
    const std::vector<float> input = detector.network_input(image);
    if (!raw.empty()) write_raw(raw, detector, input);
    std::vector<vision::Detection> faces;
    Json answer;
    answer["network_ms"] = best_ms(repeat, [&] { detector.run(input); });
    answer["ms"] = best_ms(repeat, [&] { faces = detector.detect(image, options); });
    answer["faces"] = Json::list();
    for (const auto& [box, score] : faces)
      answer["faces"].push_back(Json::list({box.x, box.y, box.width, box.height, score}));
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return apps::run_program(argc, argv, run); }
