// Reads and checks OpenCV's XML form of a Haar cascade.
// Facts about the form: leaves and children share one number (above 0 a node, else minus a leaf),
// and a stage's threshold is lowered by 1e-5 when read, which the published thresholds count on.
#include "vision/haar/haar_model.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <pugixml.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "base/file.h"

namespace maskwatch::vision {
namespace {

constexpr int kMinWindow = 3;
// Sums of squared pixels over a window must fit 31 bits: 181 * 181 * 255 * 255 does.
constexpr int kMaxWindow = 181;
constexpr std::size_t kMaxTreeNodes = 64;
constexpr float kThresholdSlack = 1e-5f;
// Keeps sums of floats finite.
constexpr double kMaxNumber = 1e30;

class Reader {
 public:
  explicit Reader(const std::string& name) : name_(name) {}

  HaarModel read(std::string_view xml) {
    parse(xml);
    const pugi::xml_node root = cascade();
    require_text(root, "stageType", "BOOST");
    require_text(root, "featureType", "HAAR");
    HaarModel model;
    model.width = window_side(root, "width");
    model.height = window_side(root, "height");
    read_features(child(root, "features"), model);
    read_stages(root, model);
    return model;
  }

 private:
  [[noreturn]] void fail(const std::string& fault) const {
    throw std::runtime_error(name_ + ": " + fault);
  }

  void parse(std::string_view xml) {
    const pugi::xml_parse_result result = document_.load_buffer(xml.data(), xml.size());
    if (!result) {
      fail(std::string("not well-formed XML: ") + result.description() + " at byte " +
           std::to_string(result.offset));
    }
  }

  pugi::xml_node cascade() const {
    const pugi::xml_node root = document_.child("opencv_storage");
    if (!root) fail("not a cascade: no <opencv_storage>");
    for (const pugi::xml_node node : root.children()) {
      const std::string_view type = node.attribute("type_id").value();
      if (type == "opencv-cascade-classifier") return node;
      if (type == "opencv-haar-classifier") {
        fail("a cascade in the form before OpenCV 2.4 (opencv-haar-classifier), which is not read");
      }
    }
    // Files written by opencv_traincascade carry no type.
    if (const pugi::xml_node node = root.child("cascade")) return node;
    fail("not a cascade: no opencv-cascade-classifier");
  }

  pugi::xml_node child(pugi::xml_node parent, const char* name) const {
    const pugi::xml_node node = parent.child(name);
    if (!node) fail(std::string("<") + parent.name() + "> has no <" + name + ">");
    return node;
  }

  static std::string text(pugi::xml_node node) {
    std::string joined;
    for (const pugi::xml_node part : node.children()) {
      if (part.type() == pugi::node_pcdata || part.type() == pugi::node_cdata) {
        joined += part.value();
        joined += ' ';
      }
    }
    return joined;
  }

  std::vector<double> numbers(pugi::xml_node node) const {
    const std::string joined = text(node);
    std::vector<double> values;
    const char* at = joined.data();
    const char* end = at + joined.size();
    while (true) {
      while (at != end && std::string_view(" \t\r\n").find(*at) != std::string_view::npos) ++at;
      if (at == end) return values;
      double value = 0;
      const auto [next, error] = std::from_chars(at, end, value);
      // Not (|value| <= max): infinities and NaN too.
      if (error != std::errc() || !(std::abs(value) <= kMaxNumber)) {
        const std::string_view rest(at, end - at);
        fail(std::string("no usable number in <") + node.name() + ">: '" +
             std::string(rest.substr(0, std::min<std::size_t>(rest.find_first_of(" \r\n"), 20))) +
             "'");
      }
      values.push_back(value);
      at = next;
    }
  }

  double number(pugi::xml_node parent, const char* name) const {
    const std::vector<double> values = numbers(child(parent, name));
    if (values.size() != 1) fail(std::string("<") + name + "> must hold one number");
    return values[0];
  }

  int integer(double value, const char* what) const {
    if (value != std::trunc(value) || std::abs(value) > 1e9) {
      fail(std::string(what) + " must be a whole number below 1e9, not " + std::to_string(value));
    }
    return static_cast<int>(value);
  }

  void require_text(pugi::xml_node parent, const char* name, std::string_view wanted) const {
    const std::string_view value = child(parent, name).child_value();
    if (value != wanted) {
      fail(std::string("<") + name + "> is '" + std::string(value.substr(0, 20)) + "'; only " +
           std::string(wanted) + " is read");
    }
  }

  int window_side(pugi::xml_node root, const char* name) const {
    const int side = integer(number(root, name), name);
    if (side < kMinWindow || side > kMaxWindow) {
      fail(std::string("the window's ") + name + " is " + std::to_string(side) + ", not " +
           std::to_string(kMinWindow) + " to " + std::to_string(kMaxWindow));
    }
    return side;
  }

  void read_features(pugi::xml_node list, HaarModel& model) const {
    for (const pugi::xml_node node : list.children("_")) {
      HaarFeature feature;
      const std::string name = "feature " + std::to_string(model.features.size());
      if (node.child("tilted")) feature.tilted = number(node, "tilted") != 0;
      for (const pugi::xml_node rect : child(node, "rects").children("_")) {
        feature.rects.push_back(read_rect(rect, name));
        check_inside(feature.rects.back(), feature.tilted, model, name);
      }
      if (feature.rects.empty() || feature.rects.size() > 3) {
        fail(name + " has " + std::to_string(feature.rects.size()) + " rectangles, not 1 to 3");
      }
      model.tilted |= feature.tilted;
      model.features.push_back(std::move(feature));
    }
    if (model.features.empty()) fail("no features");
  }

  HaarRect read_rect(pugi::xml_node node, const std::string& name) const {
    const std::vector<double> values = numbers(node);
    if (values.size() != 5) {
      fail(name + ": a rectangle needs x, y, width, height and weight, and has " +
           std::to_string(values.size()) + " numbers");
    }
    const char* what = "a rectangle's coordinate";
    return {integer(values[0], what), integer(values[1], what), integer(values[2], what),
            integer(values[3], what), static_cast<float>(values[4])};
  }

  void check_inside(const HaarRect& r, bool tilted, const HaarModel& model,
                    const std::string& name) const {
    // Each side alone first, so that no sum below can overflow.
    const bool sane = r.x >= 0 && r.y >= 0 && r.width > 0 && r.height > 0 && r.x <= kMaxWindow &&
                      r.y <= kMaxWindow && r.width <= kMaxWindow && r.height <= kMaxWindow;
    const bool inside = tilted ? r.x - r.height >= 0 && r.x + r.width <= model.width &&
                                     r.y + r.width + r.height <= model.height
                               : r.x + r.width <= model.width && r.y + r.height <= model.height;
    if (!sane || !inside) fail(name + " has a rectangle outside the window");
  }

  void read_stages(pugi::xml_node root, HaarModel& model) const {
    if (const pugi::xml_node params = root.child("featureParams")) {
      if (params.child("maxCatCount") && number(params, "maxCatCount") != 0) {
        fail("categorical features are not read");
      }
    }
    for (const pugi::xml_node node : child(root, "stages").children("_")) {
      HaarStage stage;
      const std::string name = "stage " + std::to_string(model.stages.size());
      stage.threshold = static_cast<float>(number(node, "stageThreshold")) - kThresholdSlack;
      for (const pugi::xml_node tree : child(node, "weakClassifiers").children("_")) {
        stage.trees.push_back(
            read_tree(tree, model, name + ", tree " + std::to_string(stage.trees.size())));
      }
      if (stage.trees.empty()) fail(name + " has no trees");
      model.stages.push_back(std::move(stage));
    }
    if (model.stages.empty()) fail("no stages");
    if (root.child("stageNum") &&
        number(root, "stageNum") != static_cast<double>(model.stages.size())) {
      fail("stageNum does not match: there are " + std::to_string(model.stages.size()) + " stages");
    }
  }

  HaarTree read_tree(pugi::xml_node node, const HaarModel& model, const std::string& name) const {
    const std::vector<double> values = numbers(child(node, "internalNodes"));
    const std::size_t count = values.size() / 4;
    if (values.size() % 4 != 0 || count == 0 || count > kMaxTreeNodes) {
      fail(name + ": " + std::to_string(values.size()) +
           " numbers in its nodes, not 4 for each of 1 to " + std::to_string(kMaxTreeNodes));
    }
    HaarTree tree;
    for (const double leaf : numbers(child(node, "leafValues"))) {
      tree.leaves.push_back(static_cast<float>(leaf));
    }
    if (tree.leaves.size() != count + 1) {
      fail(name + ": " + std::to_string(tree.leaves.size()) + " leaves for " +
           std::to_string(count) + " nodes");
    }
    std::vector<HaarNode> nodes(count);
    for (std::size_t i = 0; i < count; ++i) {
      const double* v = &values[4 * i];
      nodes[i] = {integer(v[2], "a feature's number"), static_cast<float>(v[3]),
                  integer(v[0], "a child's number"), integer(v[1], "a child's number")};
      check_node(nodes[i], tree, model, name);
    }
    tree.nodes = parents_first(nodes, name);
    return tree;
  }

  void check_node(const HaarNode& node, const HaarTree& tree, const HaarModel& model,
                  const std::string& name) const {
    if (node.feature < 0 || static_cast<std::size_t>(node.feature) >= model.features.size()) {
      fail(name + ": feature " + std::to_string(node.feature) + " does not exist");
    }
    const int leaves = static_cast<int>(tree.leaves.size());
    for (const int child : {node.left, node.right}) {
      if (child >= leaves - 1 || child <= -leaves) {
        fail(name + ": child " + std::to_string(child) + " does not exist");
      }
    }
  }

  // The nodes that the root reaches, each before its children.
  std::vector<HaarNode> parents_first(const std::vector<HaarNode>& nodes,
                                      const std::string& name) const {
    std::vector<HaarNode> ordered{nodes[0]};
    std::vector<bool> seen(nodes.size());
    seen[0] = true;
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      for (int HaarNode::*side : {&HaarNode::left, &HaarNode::right}) {
        const int child = ordered[i].*side;
        if (child <= 0) continue;
        if (seen[child])
          fail(name + " has a cycle: node " + std::to_string(child) + " is reached twice");
        seen[child] = true;
        ordered[i].*side = static_cast<int>(ordered.size());
        ordered.push_back(nodes[child]);
      }
    }
    return ordered;
  }

  const std::string& name_;
  pugi::xml_document document_;
};

}  // namespace

HaarModel parse_haar_model(std::string_view xml, const std::string& name) {
  return Reader(name).read(xml);
}

HaarModel read_haar_model(const std::string& file) {
  return parse_haar_model(read_file(file), file);
}

std::optional<std::string> find_haar_cascade(const std::string& name) {
  for (const char* folder : {"/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades"}) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) return path.string();
  }
  return std::nullopt;
}

}  // namespace maskwatch::vision
