// Faces, eyes and other rigid things found by a boosted cascade of Haar features.
// Reads the cascades that OpenCV publishes (XML, `opencv-cascade-classifier`: stumps and trees,
// upright and tilted features) and gives the boxes that OpenCV 4's `detectMultiScale` gives for the
// same file, picture and options, in the order in which it gives them on one thread. Viola and
// Jones, "Rapid object detection using a boosted cascade of simple features", 2001; Lienhart and
// Maydt, "An extended set of Haar-like features for rapid object detection", 2002.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

struct HaarPlan;

struct HaarOptions {
  double scale_factor = 1.1;  // between one window size and the next; above 1
  int min_neighbors = 5;  // windows that must agree beyond the first; 0: every window, ungrouped
  int min_width = 30;     // pixels of the picture; smaller windows are not tried
  int min_height = 30;
  int max_width = 0;  // 0 (either): up to the picture's size
  int max_height = 0;
};

class HaarCascade {
 public:
  // Throws std::runtime_error that names the file and its fault: unreadable, not XML, another kind
  // of cascade, parts missing, a node tree with a cycle, a feature outside its window, absurd
  // sizes.
  static HaarCascade load(const std::string& file);

  // The same for XML in memory; `name` stands for the file in errors.
  static HaarCascade parse(std::string_view xml, const std::string& name);

  // Size of the window that the cascade was trained on, in pixels.
  int window_width() const;
  int window_height() const;

  // The things found in a grey or RGB picture; `score` is the number of windows that agree on the
  // box (1 where min_neighbors is 0). May be called from several threads at once; runs in parallel
  // within, and the result does not depend on the number of threads. A picture smaller than the
  // window holds nothing. Throws std::invalid_argument for a malformed picture, one of more than
  // 2^20 columns, or a scale_factor out of range, and std::runtime_error that names the cascade
  // where it finds more than a cascade may (haar_group.h).
  std::vector<Detection> detect(const ImageView& image, const HaarOptions& options = {}) const;

 private:
  HaarCascade(std::shared_ptr<const HaarPlan> plan, std::string name);
  std::shared_ptr<const HaarPlan> plan_;
  std::string name_;
};

}  // namespace maskwatch::vision
