// Finds things in pictures by a Haar cascade and tells what and how fast, for comparison with a
// peer that runs beside it: reads picture files' names from standard input, one a line, and answers
// each with one line of JSON: {"boxes": [[x, y, width, height, windows], …], "ms": best of
// --repeat}.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/json.h"
#include "base/parallel.h"
#include "vision/haar/haar.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

std::string answer(const vision::HaarCascade& cascade, const std::string& file,
                   const vision::HaarOptions& options, int repeat) {
  using Clock = std::chrono::steady_clock;
  const vision::Image image = vision::load_image(file);
  std::vector<vision::Detection> found;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeat; ++i) {
    const auto start = Clock::now();
    found = cascade.detect(image, options);
    best = std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  Json boxes = Json::list();
  for (const vision::Detection& d : found) {
    boxes.push_back(Json::list({d.box.x, d.box.y, d.box.width, d.box.height, d.score}));
  }
  return Json::object({{"boxes", boxes}, {"ms", best}}).dump();
}

int run(int argc, char** argv) {
  apps::OptionParser parser(
      "haar_detect", "Boxes and time of a Haar cascade for pictures named on standard input");
  std::string file;
  vision::HaarOptions options;
  int repeat = 1, threads = 1, min_size = 30, max_size = 0;
  parser.add("--cascade", &file).required();
  parser.add("--scale-factor", &options.scale_factor);
  parser.add("--min-neighbors", &options.min_neighbors);
  parser.add("--min-size", &min_size);
  parser.add("--max-size", &max_size);
  parser.add("--repeat", &repeat).range(1, 1 << 20);
  parser.add("--threads", &threads);
  parser.parse(argc, argv);
  options.min_width = options.min_height = min_size;
  options.max_width = options.max_height = max_size;
  set_threads(threads);
  const vision::HaarCascade cascade = vision::HaarCascade::load(file);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(cascade, line, options, repeat) << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return apps::run_program(argc, argv, run); }
