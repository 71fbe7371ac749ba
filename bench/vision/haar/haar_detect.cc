// Finds things in pictures by a Haar cascade and tells what and how fast, for comparison with a
// peer that runs beside it: reads picture files' names from standard input, one a line, and answers
// each with one line of JSON: {"boxes": [[x, y, width, height, windows], …], "ms": best of
// --repeat}.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/parallel.h"
#include "vision/haar/haar.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

nlohmann::json answer(const vision::HaarCascade& cascade, const std::string& file,
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
  nlohmann::json boxes = nlohmann::json::array();
  for (const vision::Detection& d : found) {
    boxes.push_back({d.box.x, d.box.y, d.box.width, d.box.height, d.score});
  }
  return {{"boxes", boxes}, {"ms", best}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Boxes and time of a Haar cascade for pictures named on standard input"};
  std::string file;
  vision::HaarOptions options;
  int repeat = 1, threads = 1, min_size = 30, max_size = 0;
  app.add_option("--cascade", file)->required();
  app.add_option("--scale-factor", options.scale_factor);
  app.add_option("--min-neighbors", options.min_neighbors);
  app.add_option("--min-size", min_size);
  app.add_option("--max-size", max_size);
  app.add_option("--repeat", repeat)->check(CLI::PositiveNumber);
  app.add_option("--threads", threads);
  CLI11_PARSE(app, argc, argv);
  options.min_width = options.min_height = min_size;
  options.max_width = options.max_height = max_size;
  try {
    set_threads(threads);
    const vision::HaarCascade cascade = vision::HaarCascade::load(file);
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << answer(cascade, line, options, repeat) << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
