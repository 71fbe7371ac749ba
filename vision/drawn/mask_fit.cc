#include "vision/drawn/mask_fit.h"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/LU>
#include <array>
#include <cmath>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

constexpr float kReach = .34f;  // of a knot, in model units
constexpr double kRidge = .06;  // how far a knot may give way: landmarks are a little noisy

const FaceParameters& average_face() {
  static const FaceParameters average;
  return average;
}

void require_face(std::span<const Point, 68> landmarks) {
  for (const Point& p : landmarks)
    if (!(std::abs(p.x) < 1048576) || !(std::abs(p.y) < 1048576))
      throw std::invalid_argument(
          fmt::format("FittedHead: a landmark at ({}, {}), far from any picture", p.x, p.y));
}

// Brows move, and the jaw's points follow the outline rather than the head.
double camera_weight(int landmark) {
  if (landmark < 17) return landmark >= 5 && landmark <= 11 ? .5 : .25;
  if (landmark < 27) return .3;
  return landmark < 48 ? 1 : .4;
}

bool is_knot(int landmark) { return landmark < 17 || (landmark >= 27 && landmark < 60); }

// The jaw's points of a turned head lie on the outline of its far cheek: slides them to where the
// model's outline is, seen from `across`, the direction in the model that is the picture's x.
void slide_to_outline(const FaceShape& shape, const Vec3& across, std::array<Vec3, 68>& model) {
  for (int i = 0; i < 17; ++i) {
    if (i == 8) continue;
    const float side = i < 8 ? -1.f : 1.f, y = model[i].y();
    for (float angle = .3f; angle < 1.32f; angle += .04f) {
      const Vec3 point = shape.skin(side * angle, y, 0, .3f);
      if (side * across.dot(point - model[i]) > 0) model[i] = point;
    }
  }
}

}  // namespace

FittedHead::FittedHead(std::span<const Point, 68> landmarks) : shape_(average_face()) {
  require_face(landmarks);
  std::array<Vec3, 68> model = shape_.landmarks();
  fit_camera(landmarks, model);
  const Eigen::Vector3f across = camera_.row(0).head<3>().cast<float>();
  slide_to_outline(shape_, across, model);
  fit_camera(landmarks, model);
  fit_residue(landmarks, model);
}

Eigen::Vector2d FittedHead::project(const Vec3& model) const {
  return camera_ * Eigen::Vector4d(model.x(), model.y(), model.z(), 1);
}

void FittedHead::fit_camera(std::span<const Point, 68> landmarks, std::span<const Vec3, 68> model) {
  Eigen::Matrix4d products = Eigen::Matrix4d::Zero();
  Eigen::Matrix<double, 4, 2> aims = Eigen::Matrix<double, 4, 2>::Zero();
  for (int i = 0; i < 68; ++i) {
    const Eigen::Vector4d point(model[i].x(), model[i].y(), model[i].z(), 1);
    const Eigen::RowVector2d aim(landmarks[i].x, landmarks[i].y);
    products += camera_weight(i) * point * point.transpose();
    aims += camera_weight(i) * point * aim;
  }
  camera_ = products.ldlt().solve(aims).transpose();
  const Eigen::Matrix<double, 2, 3> turn = camera_.leftCols<3>();
  // turn = stretch x rotation; the stretch is the root of a symmetric 2x2 matrix.
  const Eigen::Matrix2d square = turn * turn.transpose();
  const double area = std::sqrt(std::max(square.determinant(), 0.0));
  const double reach_both = std::sqrt(std::max(square.trace() + 2 * area, 0.0));
  if (!(area > .25) || !(area > .02 * square.trace()))
    throw std::invalid_argument(
        fmt::format("FittedHead: 68 landmarks that show no face: its units would be {:.2g} pixels "
                    "in the mean and cover {:.2g}",
                    reach_both / 2, area));
  scale_ = static_cast<float>(reach_both / 2);
  const Eigen::Matrix2d stretch = (square + area * Eigen::Matrix2d::Identity()) / reach_both;
  const Eigen::Matrix<double, 2, 3> rotation = stretch.inverse() * turn;
  const Eigen::Vector3d x = rotation.row(0), y = rotation.row(1);
  towards_viewer_ = x.cross(y).cast<float>();
}

void FittedHead::fit_residue(std::span<const Point, 68> landmarks,
                             std::span<const Vec3, 68> model) {
  std::vector<Eigen::Vector2d> at, residue;
  for (int i = 0; i < 68; ++i) {
    if (!is_knot(i)) continue;
    at.push_back(project(model[i]));
    residue.push_back(Eigen::Vector2d(landmarks[i].x, landmarks[i].y) - at.back());
  }
  const int count = static_cast<int>(at.size());
  const double width = 2 * std::pow(kReach * scale_, 2);
  Eigen::MatrixXd kernel(count, count), aims(count, 2);
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < count; ++j)
      kernel(i, j) = std::exp(-(at[i] - at[j]).squaredNorm() / width) + (i == j ? kRidge : 0);
    aims.row(i) = residue[i];
  }
  const Eigen::MatrixXd weights = kernel.llt().solve(aims);
  for (int i = 0; i < count; ++i)
    knots_.push_back({at[i].cast<float>(), weights.row(i).transpose().cast<float>()});
}

Vec3 FittedHead::place(const Vec3& model) const {
  const Eigen::Vector2f at = project(model).cast<float>();
  const float narrow = 1 / (2 * kReach * kReach * scale_ * scale_);
  Eigen::Vector2f moved = at;
  for (const Knot& knot : knots_)
    moved += std::exp(-(at - knot.at).squaredNorm() * narrow) * knot.weight;
  return {moved.x(), moved.y(), scale_ * towards_viewer_.dot(model)};
}

}  // namespace maskwatch::vision
