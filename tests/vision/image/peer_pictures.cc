// Makes the pictures that tests/vision/image/peer_test.py compares with other programs'.
// peer_pictures copy|grey IN OUT · resize IN WIDTH HEIGHT OUT ·
// warp IN ROTATION DOWN RIGHT SHEAR ZOOM_DOWN ZOOM_RIGHT FLIP OUT

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "vision/image/augment.h"
#include "vision/image/image.h"
#include "vision/image/resize.h"

using namespace maskwatch;

namespace {

vision::Image make(const std::vector<std::string>& words) {
  const std::string& task = words.at(0);
  const vision::Image in = vision::load_image(words.at(1));
  if (task == "copy") return in;
  if (task == "grey") return vision::to_grey(in);
  if (task == "resize") return vision::resize(in, std::stoi(words.at(2)), std::stoi(words.at(3)));
  if (task != "warp") throw std::invalid_argument("unknown task " + task);
  vision::AugmentParameters p;
  float* const fields[] = {&p.rotation, &p.shift_y, &p.shift_x, &p.shear, &p.zoom_y, &p.zoom_x};
  for (int i = 0; i < 6; ++i) *fields[i] = std::stof(words.at(2 + i));
  p.flip = words.at(8) == "1";
  vision::Image out;
  vision::augment(in, p, out);
  return out;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> words(argv + 1, argv + argc);
  vision::save_image(words.at(words.size() - 1), make(words));
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 2;
}
