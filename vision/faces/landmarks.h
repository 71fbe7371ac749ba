// 68 points on a face: jawline, brows, nose, eyes and mouth, in the order of the iBUG 300-W marks.
//
// The predictor is an ensemble of regression trees (Kazemi and Sullivan, "One millisecond face
// alignment with an ensemble of regression trees", 2014), read from the file that dlib publishes
// and Debian's libdlib-data installs. That file was trained on iBUG 300-W, whose licence is for
// research and excludes commercial use: dlib's author asks to contact Imperial College London
// before using the file in a product. A program that offers it says so (kLandmarkLicence).
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vision/image/draw.h"
#include "vision/image/image.h"

namespace maskwatch::vision {

// In pixels as dlib counts them: (0, 0) is the middle of the first pixel. Add 0.5 for draw.h.
using Landmarks = std::array<Point, 68>;

// A run of points along a line; `closed`: the last is joined to the first.
struct LandmarkRange {
  std::size_t first = 0;
  std::size_t count = 0;
  bool closed = false;
};

// Left and right are the person's own: the right eye is on the picture's left.
namespace landmarks {
inline constexpr LandmarkRange jawline{0, 17};  // from the person's right ear over the chin
inline constexpr LandmarkRange right_brow{17, 5};
inline constexpr LandmarkRange left_brow{22, 5};
inline constexpr LandmarkRange nose_bridge{27, 4};  // downwards
inline constexpr LandmarkRange nose_base{31, 5};
inline constexpr LandmarkRange nose{27, 9};
inline constexpr LandmarkRange right_eye{36, 6, true};
inline constexpr LandmarkRange left_eye{42, 6, true};
inline constexpr LandmarkRange outer_lips{48, 12, true};
inline constexpr LandmarkRange inner_lips{60, 8, true};
inline constexpr LandmarkRange mouth{48, 20};
inline constexpr std::size_t chin = 8;
inline constexpr std::size_t nose_tip = 30;

struct NamedRange {
  std::string_view name;
  LandmarkRange range;
};
inline constexpr std::array<NamedRange, 9> lines{{{"jawline", jawline},
                                                  {"right_brow", right_brow},
                                                  {"left_brow", left_brow},
                                                  {"nose_bridge", nose_bridge},
                                                  {"nose_base", nose_base},
                                                  {"right_eye", right_eye},
                                                  {"left_eye", left_eye},
                                                  {"outer_lips", outer_lips},
                                                  {"inner_lips", inner_lips}}};
}  // namespace landmarks

std::span<const Point> points_of(const Landmarks& points, const LandmarkRange& range);

// Where Debian's libdlib-data puts dlib's predictor, and what a program says that offers it.
inline constexpr std::string_view kDlibLandmarkFile =
    "/usr/share/dlib/shape_predictor_68_face_landmarks.dat";
inline constexpr std::string_view kLandmarkLicence =
    "dlib's 68-point predictor was trained on iBUG 300-W: for research, not for commercial use";

class LandmarkPredictor {
 public:
  // Reads dlib's serialised shape_predictor. Throws std::runtime_error that names the file and its
  // fault: unreadable, of another kind, truncated, counts that the file is too short for, indices
  // or numbers out of range, not 68 points. Memory never exceeds the file's size by much.
  static LandmarkPredictor load(const std::string& file);

  // The same for a file in memory; `name` stands for the file in errors.
  static LandmarkPredictor parse(std::string_view bytes, const std::string& name);

  // The points that dlib gives for the rectangle left = x, right = x + width - 1, top = y, bottom =
  // y + height - 1, before dlib rounds them to whole pixels. Grey or RGB; what lies outside the
  // picture counts as black. May be called from several threads at once. `box` is a square from
  // brows to chin, as dlib's own face detector finds it: the predictor was trained on such. Throws
  // std::invalid_argument for an empty or malformed picture, or a box that is not finite, is empty
  // or is more than 2^24 away.
  Landmarks predict(const Image& image, const Box& box) const;

  struct Model;

 private:
  explicit LandmarkPredictor(std::shared_ptr<const Model> model);
  std::shared_ptr<const Model> model_;
};

// Points, and how well they hold: the trees are asked again from boxes moved and scaled a little,
// like those that they were trained on. On a face they come to the same points, elsewhere they
// drift.
struct LandmarkFit {
  Landmarks points{};
  float spread = 0;  // root mean square distance between the answers, as a share of the face's size
};

// `box` as for LandmarkPredictor::predict, with its errors. Takes five times as long. The second
// form asks whatever gives points for a box.
LandmarkFit fit_landmarks(const LandmarkPredictor& predictor, const Image& image, const Box& box);
LandmarkFit fit_landmarks(const std::function<Landmarks(const Box&)>& predict, const Box& box);

}  // namespace maskwatch::vision
