#include "vision/drawn/photo_look.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "vision/image/augment.h"

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

namespace {

// Greys of at most about 256x256 pixels from the middle of the area.
struct Grey {
  int width, height, left, top;
  std::vector<float> value;
  float at(int x, int y) const { return value[static_cast<std::size_t>(y) * width + x]; }
};

Grey grey_part(const Image& photo, const PixelBox& area) {
  const int width = std::min(area.width, 256), height = std::min(area.height, 256);
  Grey out{
      width, height, area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const std::uint8_t* at = photo.at(out.left + x, out.top + y);
      out.value.push_back(grey(Rgb(at[0], at[1], at[2])));
    }
  }
  return out;
}

// Immerkaer, "Fast noise variance estimation", 1996, with a median, since a face has edges.
float noise_of(const Grey& g) {
  std::vector<float> responses;
  for (int y = 1; y + 1 < g.height; ++y)
    for (int x = 1; x + 1 < g.width; ++x)
      responses.push_back(
          std::abs(g.at(x - 1, y - 1) + g.at(x + 1, y - 1) + g.at(x - 1, y + 1) +
                   g.at(x + 1, y + 1) + 4 * g.at(x, y) -
                   2 * (g.at(x, y - 1) + g.at(x, y + 1) + g.at(x - 1, y) + g.at(x + 1, y))));
  return median(std::move(responses)) / .6745f / 6;
}

// The steepness that only a hundredth of the pixels exceed.
float steep_edges(const Grey& g) {
  std::vector<float> slopes;
  for (int y = 1; y + 1 < g.height; ++y)
    for (int x = 1; x + 1 < g.width; ++x)
      slopes.push_back(
          std::hypot(g.at(x + 1, y) - g.at(x - 1, y), g.at(x, y + 1) - g.at(x, y - 1)) / 2);
  const auto place = slopes.begin() + static_cast<std::ptrdiff_t>(slopes.size() * 99 / 100);
  std::nth_element(slopes.begin(), place, slopes.end());
  return *place;
}

// Zhuo and Sim, "Defocus map estimation from a single image", 2011: blurred once more by a known
// amount, blurred edges lose less than sharp ones.
float blur_of(const Grey& g) {
  constexpr float again = 1;
  Image copy(g.width, g.height, 1);
  for (std::size_t i = 0; i < g.value.size(); ++i)
    copy.pixels[i] = static_cast<std::uint8_t>(std::lround(g.value[i]));
  blur(copy, again);
  Grey blurred = g;
  for (std::size_t i = 0; i < g.value.size(); ++i) blurred.value[i] = copy.pixels[i];
  const float before = steep_edges(g), after = steep_edges(blurred);
  if (before < 4 || after <= 0) return 0;
  const float ratio = std::max(before / after, 1.02f);
  return std::min(again / std::sqrt(ratio * ratio - 1), 4.f);
}

// Mean step across the borders of JPEG's blocks over that elsewhere, less one. Wang, Bovik and
// Evans, "Blind measurement of blocking artifacts in images", 2000, in its simplest form.
float blocking_of(const Grey& g) {
  double border = 0, inside = 0;
  int border_count = 0, inside_count = 0;
  const auto add = [&](int place, float step) {
    if (place % 8 == 0) {
      border += std::min(step, 24.f);
      ++border_count;
    } else {
      inside += std::min(step, 24.f);
      ++inside_count;
    }
  };
  for (int y = 1; y < g.height; ++y) {
    for (int x = 1; x < g.width; ++x) {
      add(g.left + x, std::abs(g.at(x, y) - g.at(x - 1, y)));
      add(g.top + y, std::abs(g.at(x, y) - g.at(x, y - 1)));
    }
  }
  if (border_count == 0 || inside_count == 0) return 0;
  const double usual = std::max(inside / inside_count, .25);
  return static_cast<float>(std::max(0.0, border / border_count / usual - 1));
}

}  // namespace

PhotoGrain measure_grain(const Image& photo, const PixelBox& area) {
  if (area.width < 8 || area.height < 8) return {};
  const Grey g = grey_part(photo, area);
  return {blur_of(g), noise_of(g), blocking_of(g)};
}

int jpeg_quality_of(const PhotoGrain& grain) {
  if (grain.blocking < .06f) return 100;
  return std::clamp(static_cast<int>(std::lround(92 - 90 * grain.blocking)), 25, 92);
}

}  // namespace maskwatch::vision
