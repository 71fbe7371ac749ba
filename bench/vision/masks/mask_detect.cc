// How long a picture takes: each face detector brought to 320x240 pixels, as RFB-320 has them, the
// detector that ships as it is used, and the whole answer of MaskDetector. Medians, one line each.
// With --in-turn another program says when: bench/peers/python_detect.py.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/data_files.h"
#include "base/parallel.h"
#include "vision/faces/ssd.h"
#include "vision/image/resize.h"
#include "vision/masks/mask_detector.h"

using namespace maskwatch;

namespace {

void tell(const std::string& what, int repeat, const std::function<std::size_t()>& work) {
  using Clock = std::chrono::steady_clock;
  std::size_t faces = work();
  std::vector<double> times;
  for (int i = 0; i < repeat; ++i) {
    const auto start = Clock::now();
    faces = work();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + repeat / 2, times.end());
  fmt::print("{:<44} {:8.2f} ms   {} faces\n", what, times[static_cast<std::size_t>(repeat) / 2],
             faces);
}

// For each line with the path of a picture: microseconds of one look at it, and its faces. Decoding
// is not in it.
int look_in_turn() {
  MaskDetector detector;
  std::map<std::string, Image> pictures;
  for (std::string path; std::getline(std::cin, path);) {
    if (!pictures.contains(path)) pictures[path] = load_image(path);
    const auto start = std::chrono::steady_clock::now();
    const std::vector<Face> faces = detector.detect(pictures[path]);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    std::cout << took.count() << ' ' << faces.size() << std::endl;
  }
  return 0;
}

int run(int argc, char** argv) {
  apps::OptionParser parser("mask_detect", "Times of the detectors and of the whole answer");
  std::string picture, rfb;
  int repeat = 50, threads = 1;
  bool in_turn = false;
  auto& image_given = parser.add("-i,--image", &picture, "Picture to look at");
  auto& ssd = parser.add("--ssd", &rfb, "RFB-320, converted, to be timed beside ours");
  auto& repeats = parser.add("--repeat", &repeat, "Runs of each").range(1, 100000).show_default();
  parser.add("--in-turn", &in_turn, "Looks at the pictures whose paths it reads, one a line")
      .excludes(image_given)
      .excludes(ssd)
      .excludes(repeats);
  parser.add("--threads", &threads, "Threads").range(1, 1024).show_default();
  parser.parse(argc, argv);
  set_threads(threads);
  if (in_turn) return look_in_turn();
  if (picture.empty()) throw apps::UsageError("-i is missing", "or --in-turn");
  const Image image = load_image(picture);
  const Image small = vision::resize(image, 320, 240);
  vision::SsdDetector ours(
      shipped_file("the face detector that ships", "models/face_detector.safetensors"));
  const vision::SsdOptions one_scale{.scales = {{320}}};
  fmt::print("{}: {}x{}, {} thread{}\n", picture, image.width, image.height, threads,
             threads == 1 ? "" : "s");
  if (!rfb.empty()) {
    vision::SsdDetector other(rfb);
    tell("RFB-320, at 320x240", repeat, [&] { return other.detect(small).size(); });
  }
  tell("ours, at 320x240", repeat, [&] { return ours.detect(small, one_scale).size(); });
  tell("ours, the picture at its two scales", repeat,
       [&] { return ours.detect(image).size(); });
  MaskDetector detector;
  tell("MaskDetector, the picture", repeat, [&] { return detector.detect(image).size(); });
  tell("MaskDetector, the picture from its file", repeat,
       [&] { return detector.detect_file(picture).size(); });
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return apps::run_program(argc, argv, run); }
