// A Haar cascade as its file tells it, checked, and before it is laid out for a picture's memory.
// Coordinates are pixels of the training window.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace maskwatch::vision {

struct HaarRect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  float weight = 0;
};

// Weighted sum of pixel sums over two or three rectangles. Tilted: (x, y) is the top corner, the
// sides run 45° down-right (`width`) and 45° down-left (`height`).
struct HaarFeature {
  std::vector<HaarRect> rects;
  bool tilted = false;
};

// `left` where feature < threshold, else `right`: above 0 a node of the same tree (always further
// down than its parent), else minus the number of a leaf of the same tree.
struct HaarNode {
  int feature = 0;
  float threshold = 0;
  int left = 0;
  int right = 0;
};

struct HaarTree {
  std::vector<HaarNode> nodes;
  std::vector<float> leaves;
};

// A window passes where the sum of its trees' leaves is not below the threshold.
struct HaarStage {
  float threshold = 0;
  std::vector<HaarTree> trees;
};

struct HaarModel {
  int width = 0;
  int height = 0;
  bool tilted = false;  // whether any feature is
  std::vector<HaarFeature> features;
  std::vector<HaarStage> stages;
};

// Throw std::runtime_error, as HaarCascade::load and parse do.
HaarModel read_haar_model(const std::string& file);
HaarModel parse_haar_model(std::string_view xml, const std::string& name);

// The cascade of this file name as Debian's opencv-data installs it, or nothing.
std::optional<std::string> find_haar_cascade(const std::string& name);

}  // namespace maskwatch::vision
