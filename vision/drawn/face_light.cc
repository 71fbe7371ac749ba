#include "vision/drawn/face_light.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

namespace maskwatch::vision {
namespace {

constexpr float kGammaOfPicture = 2.2f;
// Linear brightness that well-lit skin of medium tone has in a photograph.
constexpr float kUsualSkin = .30f;

float linear(float grey_level) { return std::pow(grey_level / 255, kGammaOfPicture); }

bool is_bare_skin(float x, float y) {
  const float away = std::abs(x);
  const bool eye = away > .08f && away < .52f && y > -.32f && y < .12f;
  const bool mouth = away < .32f && y > .52f && y < .84f;
  const bool nostrils = away < .22f && y > .38f && y < .52f;
  return !eye && !mouth && !nostrils;
}

struct PatchMean {
  Rgb color = Rgb::Zero();
  int pixels = 0;
};

PatchMean mean_around(const Image& photo, float x, float y, float radius) {
  PatchMean mean;
  const auto pixel = [](float at, int end) {
    return static_cast<int>(std::clamp(at, 0.f, static_cast<float>(end)));
  };
  for (int j = pixel(y - radius, photo.height); j < pixel(y + radius + 1, photo.height); ++j) {
    for (int i = pixel(x - radius, photo.width); i < pixel(x + radius + 1, photo.width); ++i) {
      const std::uint8_t* at = photo.at(i, j);
      mean.color += Rgb(at[0], at[1], at[2]);
      ++mean.pixels;
    }
  }
  if (mean.pixels > 0) mean.color /= static_cast<float>(mean.pixels);
  return mean;
}

float grey(const Rgb& color) { return .299f * color[0] + .587f * color[1] + .114f * color[2]; }

float median(std::vector<float> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

FaceLight::FaceLight(const Image& photo, const FittedHead& head) {
  sample_skin(photo, head);
  fit();
  read_colours(photo, head);
}

void FaceLight::sample_skin(const Image& photo, const FittedHead& head) {
  const auto skin = [&](float angle, float y) { return head.shape().skin(angle, y, 0, .4f); };
  const float radius = std::clamp(.025f * head.scale(), 1.f, 12.f);
  for (float y = -.5f; y < .99f; y += .12f) {
    for (float angle = -1.1f; angle < 1.11f; angle += .22f) {
      const Vec3 model = skin(angle, y);
      const Vec3 normal = head.normal(skin, angle, y);
      if (!is_bare_skin(model.x(), y) || normal.z() < .25f) continue;
      const Vec3 at = head.place(model);
      const PatchMean patch = mean_around(photo, at.x(), at.y(), radius);
      if (patch.pixels > 0) samples_.push_back({angle, y, normal, linear(grey(patch.color)), 1});
    }
  }
}

// Least squares with weights that let go of what is not skin (hair, beards, glare), in three
// rounds.
void FaceLight::fit() {
  std::vector<float> lights;
  for (const Sample& sample : samples_) lights.push_back(sample.light);
  const float usual = std::max(median(lights), 1e-3f);
  ambient_ = usual;
  for (int round = 0; round < 3 && samples_.size() >= 8; ++round) {
    Eigen::Matrix4f products = Eigen::Matrix4f::Zero();
    Eigen::Vector4f aims = Eigen::Vector4f::Zero();
    for (const Sample& sample : samples_) {
      const Vec3& n = sample.normal;
      const float off = (sample.light - ambient_ - direction_.dot(n)) / (.25f * usual);
      const float weight = 1 / (1 + off * off);
      const Eigen::Vector4f row(1, n.x(), n.y(), n.z());
      products += weight * row * row.transpose();
      aims += weight * sample.light * row;
    }
    products += Eigen::Vector4f(.01f, 1, 1, 4).asDiagonal();
    const Eigen::Vector4f solved = products.ldlt().solve(aims);
    ambient_ = solved[0];
    direction_ = solved.tail<3>();
  }
  const float mean = std::max(ambient_ + .8f * direction_.z(), 1e-3f);
  for (Sample& sample : samples_)
    sample.share = std::clamp(
        sample.light / std::max(ambient_ + direction_.dot(sample.normal), .25f * mean), .4f, 1.6f);
  // Dark skin is not dim light: the picture's exposure follows the skin's brightness in part.
  const float light = std::clamp(std::pow(mean / kUsualSkin, .55f), .12f, 1.25f);
  exposure_ = light / mean;
}

float FaceLight::on(const Vec3& normal) const {
  const float mean = std::max(ambient_ + .8f * direction_.z(), 1e-3f);
  return exposure_ * std::max(ambient_ + direction_.dot(normal), .25f * mean);
}

float FaceLight::local(float angle, float y) const {
  float sum = .4f, weights = .4f;
  for (const Sample& sample : samples_) {
    const float da = sample.angle - angle, dy = sample.y - y;
    const float weight = std::exp(-(da * da + dy * dy) / .08f);
    sum += weight * sample.share;
    weights += weight;
  }
  return sum / weights;
}

void FaceLight::read_colours(const Image& photo, const FittedHead& head) {
  Rgb whole = Rgb::Zero();
  constexpr int grid = 24;
  for (int j = 0; j < grid; ++j) {
    for (int i = 0; i < grid; ++i) {
      const std::uint8_t* at =
          photo.at(i * photo.width / grid, static_cast<int>(std::int64_t{j} * photo.height / grid));
      whole += Rgb(at[0], at[1], at[2]);
    }
  }
  // The mean of a picture is grey only roughly: a third of its cast counts.
  cast_ = (whole / std::max(whole.mean(), 1.f)).max(.3f).min(3.f).pow(.33f);
  cast_ /= cast_.mean();
  const Vec3 cheeks = head.place(head.shape().skin(0, .30f));
  const PatchMean face = mean_around(photo, cheeks.x(), cheeks.y(), .45f * head.scale());
  const float chroma =
      (face.color.maxCoeff() - face.color.minCoeff()) / std::max(face.color.maxCoeff(), 8.f);
  saturation_ = face.pixels == 0 ? 1 : std::clamp((chroma - .01f) / .14f, 0.f, 1.f);
}

}  // namespace maskwatch::vision
