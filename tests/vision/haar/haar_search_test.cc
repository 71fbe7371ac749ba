// The search against its definition: a plain detector that reads every feature from sums of pixels.
#include <doctest/doctest.h>

#include <hwy/highway.h>
#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>
#include <vector>

#include "kernels/table.h"
#include "vision/haar/haar.h"
#include "vision/haar/haar_group.h"
#include "vision/haar/haar_model.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

using vision::HaarModel;
using vision::HaarWindow;
using vision::Image;

// --- A cascade drawn at random -------------------------------------------------------------------

class Maker {
 public:
  Maker(unsigned seed, bool tilted, bool odd_weights, int max_nodes)
      : random_(seed), tilted_(tilted), odd_weights_(odd_weights), max_nodes_(max_nodes) {
    model_.width = 9 + below(6);
    model_.height = 9 + below(6);
  }

  HaarModel make() {
    for (int i = 0; i < 12; ++i) model_.features.push_back(feature());
    for (int s = 0; s < 4; ++s) model_.stages.push_back(stage());
    return model_;
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  float real(float scale) { return std::uniform_real_distribution<float>(-scale, scale)(random_); }

  // A rectangle and a part of it, weighted so that flat light gives 0: the published shapes.
  vision::HaarFeature feature() {
    vision::HaarFeature f;
    f.tilted = tilted_ && below(2) == 0;
    const int parts = 2 + below(2);
    const int thick = 1 + below(2), across = 1 + below(2);
    vision::HaarRect whole{0, 0, across, thick * parts, -1};
    if (!f.tilted && below(2) == 0) std::swap(whole.width, whole.height);
    // How far the rectangle reaches left, right and down of its corner.
    const int left = f.tilted ? whole.height : 0, right = whole.width;
    const int down = whole.height + (f.tilted ? whole.width : 0);
    whole.x = left + below(model_.width - left - right + 1);
    whole.y = below(model_.height - down + 1);
    vision::HaarRect part = whole;
    const bool stacked = whole.height == thick * parts;
    (stacked ? part.height : part.width) = thick;
    if (parts == 3) {
      (stacked ? part.y : part.x) += thick;
      if (f.tilted) part.x -= thick;
    }
    part.weight = static_cast<float>(parts);
    if (odd_weights_) part.weight += 0.37f;
    f.rects = {whole, part};
    if (!f.tilted && below(4) == 0) f = checkerboard();
    return f;
  }

  vision::HaarFeature checkerboard() {
    const int x = below(model_.width - 5), y = below(model_.height - 5);
    return {{{x, y, 6, 4, -1}, {x, y, 3, 2, 2}, {x + 3, y + 2, 3, 2, 2}}, false};
  }

  vision::HaarTree tree() {
    vision::HaarTree t;
    const int nodes = 1 + below(max_nodes_);
    int leaf = 0;
    for (int n = 0; n < nodes; ++n) {
      // A chain: the left child is the next node.
      const int left = n + 1 < nodes ? n + 1 : -leaf++;
      t.nodes.push_back(
          {below(static_cast<int>(model_.features.size())), real(0.05f), left, -leaf++});
    }
    for (int l = 0; l <= nodes; ++l) t.leaves.push_back(real(1));
    return t;
  }

  // The threshold is a sum that windows do reach, so that rounding decides.
  vision::HaarStage stage() {
    vision::HaarStage s;
    double reached = 0;
    const int trees = 2 + below(4);
    for (int i = 0; i < trees; ++i) {
      s.trees.push_back(tree());
      const auto& leaves = s.trees.back().leaves;
      auto middle = leaves;
      std::sort(middle.begin(), middle.end());
      reached += middle[(middle.size() - 1) / 2];
    }
    s.threshold = static_cast<float>(reached);
    return s;
  }

  std::mt19937 random_;
  bool tilted_;
  bool odd_weights_;
  int max_nodes_;
  HaarModel model_;
};

void write_tree(std::ostream& out, const vision::HaarTree& t) {
  out << "<_><internalNodes>";
  for (const auto& n : t.nodes)
    out << n.left << ' ' << n.right << ' ' << n.feature << ' ' << n.threshold << ' ';
  out << "</internalNodes><leafValues>";
  for (const float leaf : t.leaves) out << leaf << ' ';
  out << "</leafValues></_>\n";
}

void write_feature(std::ostream& out, const vision::HaarFeature& f) {
  out << "<_><rects>";
  for (const auto& r : f.rects) {
    out << "<_>" << r.x << ' ' << r.y << ' ' << r.width << ' ' << r.height << ' ' << r.weight
        << "</_>";
  }
  out << "</rects><tilted>" << f.tilted << "</tilted></_>\n";
}

std::string xml_of(const HaarModel& m) {
  std::ostringstream out;
  out.precision(9);
  out << "<opencv_storage><cascade><stageType>BOOST</stageType><featureType>HAAR</"
         "featureType><height>"
      << m.height << "</height><width>" << m.width << "</width>\n<stages>";
  for (const auto& s : m.stages) {
    out << "<_><stageThreshold>" << s.threshold << "</stageThreshold><weakClassifiers>";
    for (const auto& t : s.trees) write_tree(out, t);
    out << "</weakClassifiers></_>\n";
  }
  out << "</stages><features>";
  for (const auto& f : m.features) write_feature(out, f);
  out << "</features></cascade></opencv_storage>\n";
  return out.str();
}

// --- The plain detector --------------------------------------------------------------------------

Image scaled(const Image& from, int width, int height) {
  Image to(width, height, 1);
  struct Source {
    int at, next, part;
  };
  const auto source = [](int i, int to_size, int from_size) {
    const double at = (i + 0.5) * (1.0 / (static_cast<double>(to_size) / from_size)) - 0.5;
    const int index = static_cast<int>(std::floor(at));
    if (index < 0) return Source{0, 0, 0};
    if (index >= from_size - 1) return Source{from_size - 1, from_size - 1, 0};
    return Source{index, index + 1, static_cast<int>(std::lrint((at - index) * 256))};
  };
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Source v = source(y, height, from.height), h = source(x, width, from.width);
      const auto across = [&](int row) {
        return *from.at(h.at, row) * (256 - h.part) + *from.at(h.next, row) * h.part;
      };
      *to.at(x, y) = static_cast<std::uint8_t>(
          (across(v.at) * (256 - v.part) + across(v.next) * v.part + 32768) >> 16);
    }
  }
  return to;
}

// Whether pixel (x, y) lies in the triangle that opens upwards from corner (corner_x, corner_y).
int in_triangle(int x, int y, int corner_x, int corner_y) {
  return y < corner_y && std::abs(x - (corner_x - 1)) <= corner_y - y - 1;
}

// The tilted rectangle as a difference of triangles (Lienhart and Maydt 2002, figure 3).
int tilted_sum(const Image& image, int x0, int y0, const vision::HaarRect& r) {
  const int left = x0 + r.x, top = y0 + r.y, w = r.width, h = r.height;
  int sum = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const int inside = in_triangle(x, y, left, top) - in_triangle(x, y, left - h, top + h) -
                         in_triangle(x, y, left + w, top + w) +
                         in_triangle(x, y, left + w - h, top + w + h);
      sum += inside * *image.at(x, y);
    }
  }
  return sum;
}

int upright_sum(const Image& image, int x0, int y0, const vision::HaarRect& r) {
  int sum = 0;
  for (int y = y0 + r.y; y < y0 + r.y + r.height; ++y) {
    for (int x = x0 + r.x; x < x0 + r.x + r.width; ++x) sum += *image.at(x, y);
  }
  return sum;
}

class Plain {
 public:
  Plain(const HaarModel& model, const Image& image) : model_(model), image_(image) {}

  std::vector<HaarWindow> detect(double scale_factor) const {
    std::vector<HaarWindow> found;
    int stripes = -1;
    for (double factor = 1;; factor *= scale_factor) {
      const int width = static_cast<int>(std::lrint(model_.width * factor));
      const int height = static_cast<int>(std::lrint(model_.height * factor));
      if (width > image_.width || height > image_.height) return found;
      detect_at(static_cast<float>(factor), stripes, found);
    }
  }

 private:
  void detect_at(float scale, int& stripes, std::vector<HaarWindow>& found) const {
    const Image level = scaled(image_, static_cast<int>(std::lrint(image_.width / scale)),
                               static_cast<int>(std::lrint(image_.height / scale)));
    const int across = level.width + 1 - model_.width, down = level.height + 1 - model_.height;
    const int step = scale >= 2 ? 1 : 2;
    if (stripes < 0) stripes = (across + 31) / 32;
    const int end =
        std::min(down, stripes * step * std::max(1, (down / step + stripes - 1) / stripes));
    for (int y = 0; y < end; y += step) {
      for (int x = 0; x < across; x += step) {
        const int passed = stages_passed(level, x, y);
        if (passed == static_cast<int>(model_.stages.size())) {
          found.push_back(window(scale, x, y));
        }
        if (passed == 0) x += step;
      }
    }
  }

  // A window in the picture; rounding may take it a pixel over the edge, where it is cut.
  HaarWindow window(float scale, int x, int y) const {
    const auto rounded = [](float value) { return static_cast<int>(std::lrint(value)); };
    const int left = rounded(x * scale), top = rounded(y * scale);
    return {left, top, std::min(rounded(model_.width * scale), image_.width - left),
            std::min(rounded(model_.height * scale), image_.height - top)};
  }

  // -1 for a window too flat to be judged.
  int stages_passed(const Image& level, int x, int y) const {
    const vision::HaarRect inner{1, 1, model_.width - 2, model_.height - 2, 1};
    const double area = inner.width * inner.height;
    double sum = 0, square = 0;
    for (int v = y + 1; v < y + 1 + inner.height; ++v) {
      for (int u = x + 1; u < x + 1 + inner.width; ++u) {
        sum += *level.at(u, v);
        square += *level.at(u, v) * *level.at(u, v);
      }
    }
    const double spread = area * square - sum * sum;
    if (spread <= 0) return -1;
    const float inverse = static_cast<float>(1.0 / std::sqrt(spread));
    if (area * inverse >= 0.1) return -1;
    for (std::size_t s = 0; s < model_.stages.size(); ++s) {
      double total = 0;
      for (const auto& tree : model_.stages[s].trees) total += leaf(tree, level, x, y, inverse);
      if (total < model_.stages[s].threshold) return static_cast<int>(s);
    }
    return static_cast<int>(model_.stages.size());
  }

  float leaf(const vision::HaarTree& tree, const Image& level, int x, int y, float inverse) const {
    int at = 0;
    do {
      const auto& node = tree.nodes[at];
      const float value = feature(model_.features[node.feature], level, x, y) * inverse;
      at = value < node.threshold ? node.left : node.right;
    } while (at > 0);
    return tree.leaves[-at];
  }

  // Floats, rounded after each product and each sum.
  static float feature(const vision::HaarFeature& f, const Image& level, int x, int y) {
    volatile float total = 0;
    for (const auto& r : f.rects) {
      const int pixels = f.tilted ? tilted_sum(level, x, y, r) : upright_sum(level, x, y, r);
      volatile float product = r.weight * static_cast<float>(pixels);
      total = total + product;
    }
    return total;
  }

  const HaarModel& model_;
  const Image& image_;
};

// --- The comparison ------------------------------------------------------------------------------

Image random_picture(unsigned seed, int width, int height) {
  std::mt19937 random(seed);
  Image image(width, height, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const bool flat = (x / 8 + y / 8) % 4 == 0;
      *image.at(x, y) =
          static_cast<std::uint8_t>(flat ? 77 : (random() % 128) + (x * 5 + y * 3) % 128);
    }
  }
  return image;
}

std::vector<HaarWindow> windows(const std::vector<vision::Detection>& found) {
  std::vector<HaarWindow> result;
  for (const auto& d : found) {
    result.push_back({static_cast<int>(d.box.x), static_cast<int>(d.box.y),
                      static_cast<int>(d.box.width), static_cast<int>(d.box.height)});
  }
  return result;
}

std::string text(const std::vector<HaarWindow>& list) {
  std::ostringstream joined;
  joined << list.size() << ':';
  for (const auto& w : list) {
    joined << ' ' << w.x << ',' << w.y << ',' << w.width << ',' << w.height;
  }
  return joined.str();
}

// Runs `body` on every vector target that this machine has, or on the one that is forced.
template <class Body>
void on_every_target(const Body& body) {
  kernels::target_name();  // applies a forced target
  const std::int64_t supported = hwy::SupportedTargets();
  for (std::int64_t rest = supported & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const std::int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    body(std::string(hwy::TargetName(target)));
  }
  hwy::SetSupportedTargetsForTest(supported);
  hwy::GetChosenTarget().Update(supported);
}

std::size_t compare(const HaarModel& model, unsigned seed, int width, int height) {
  const std::string xml = xml_of(model);
  const auto cascade = vision::HaarCascade::parse(xml, "drawn at random");
  const HaarModel read = vision::parse_haar_model(xml, "drawn at random");
  const Image image = random_picture(seed, width, height);
  const auto wanted = Plain(read, image).detect(1.3);
  vision::HaarOptions options{
      .scale_factor = 1.3, .min_neighbors = 0, .min_width = 0, .min_height = 0};
  on_every_target([&](const std::string& target) {
    CAPTURE(target);
    CAPTURE(seed);
    CHECK(text(windows(cascade.detect(image, options))) == text(wanted));
  });
  return wanted.size();
}

}  // namespace

TEST_CASE("the search finds what a plain detector finds, on every vector target") {
  std::size_t found = 0;
  unsigned seed = 0;
  for (const bool tilted : {false, true}) {
    for (const bool odd_weights : {false, true}) {
      for (const int max_nodes : {1, 4}) {
        for (const auto& [width, height] : {std::pair{61, 40}, {37, 52}, {98, 29}}) {
          ++seed;
          found += compare(Maker(seed, tilted, odd_weights, max_nodes).make(), seed, width, height);
        }
      }
    }
  }
  MESSAGE(found << " windows compared");
  CHECK(found > 500);
}

TEST_CASE("every width gives the same windows as the plain detector") {
  const HaarModel model = Maker(99, true, false, 2).make();
  for (int width = model.width - 1; width < model.width + 40; ++width) {
    CAPTURE(width);
    compare(model, static_cast<unsigned>(width), width, model.height + 9);
  }
}
