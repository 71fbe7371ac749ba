#include "vision/drawn/mesh.h"

#include <algorithm>
#include <cmath>

namespace maskwatch::vision {

Mesh::Mesh(int columns, int rows, const std::function<Vec3(float u, float v)>& surface)
    : columns_(columns),
      rows_(rows),
      vertices_(static_cast<std::size_t>(columns + 1) * (rows + 1)) {
  constexpr float step = 2e-3f;
  for (int j = 0; j <= rows; ++j) {
    for (int i = 0; i <= columns; ++i) {
      const float u = static_cast<float>(i) / static_cast<float>(columns);
      const float v = static_cast<float>(j) / static_cast<float>(rows);
      const float inner_v = std::clamp(v, 3 * step, 1 - 3 * step);  // poles have no normal
      const Vec3 along = surface(u + step, inner_v) - surface(u - step, inner_v);
      const Vec3 down = surface(u, inner_v + step) - surface(u, inner_v - step);
      Vec3 normal = along.cross(down);
      const float length = normal.norm();
      if (length > 1e-12f) normal /= length;
      vertices_[static_cast<std::size_t>(j) * (columns + 1) + i] = {surface(u, v), normal, u, v};
    }
  }
}

Canvas::Canvas(PixelBox area, int samples)
    : area_(area),
      samples_(samples),
      width_(area.width * samples),
      height_(area.height * samples),
      buffer_(static_cast<std::size_t>(width_) * height_) {}

void Canvas::put(int x, int y, float depth, const Rgb& color) {
  Sample& sample = buffer_[static_cast<std::size_t>(y) * width_ + x];
  if (depth > sample.depth) sample = {depth, color, layer_};
}

void Canvas::draw_triangle(const Mesh::Vertex* const (&corners)[3], const View& view,
                           const Shader& shader) {
  Vec3 p[3], normals[3];
  for (int i = 0; i < 3; ++i) {
    p[i] = view.picture(corners[i]->point);
    p[i].x() = (p[i].x() - static_cast<float>(area_.x)) * static_cast<float>(samples_);
    p[i].y() = (p[i].y() - static_cast<float>(area_.y)) * static_cast<float>(samples_);
    normals[i] = view.rotation * corners[i]->normal;
  }
  const float area =
      (p[1].x() - p[0].x()) * (p[2].y() - p[0].y()) - (p[2].x() - p[0].x()) * (p[1].y() - p[0].y());
  if (!(std::abs(area) > 1e-9f)) return;
  const auto [low_x, high_x] = std::minmax({p[0].x(), p[1].x(), p[2].x()});
  const auto [low_y, high_y] = std::minmax({p[0].y(), p[1].y(), p[2].y()});
  const int first_x = std::max(0, static_cast<int>(std::floor(std::max(low_x, 0.f) - .5f)));
  const int first_y = std::max(0, static_cast<int>(std::floor(std::max(low_y, 0.f) - .5f)));
  const int last_x = static_cast<int>(std::min<float>(high_x, static_cast<float>(width_ - 1)));
  const int last_y = static_cast<int>(std::min<float>(high_y, static_cast<float>(height_ - 1)));
  for (int y = first_y; y <= last_y; ++y) {
    for (int x = first_x; x <= last_x; ++x) {
      const float sx = static_cast<float>(x) + .5f, sy = static_cast<float>(y) + .5f;
      const float b1 =
          ((sx - p[0].x()) * (p[2].y() - p[0].y()) - (p[2].x() - p[0].x()) * (sy - p[0].y())) /
          area;
      const float b2 =
          ((p[1].x() - p[0].x()) * (sy - p[0].y()) - (sx - p[0].x()) * (p[1].y() - p[0].y())) /
          area;
      const float b0 = 1 - b1 - b2;
      if (b0 < -1e-4f || b1 < -1e-4f || b2 < -1e-4f) continue;
      const float depth = b0 * p[0].z() + b1 * p[1].z() + b2 * p[2].z();
      if (depth <= buffer_[static_cast<std::size_t>(y) * width_ + x].depth) continue;
      Fragment fragment;
      fragment.point = b0 * corners[0]->point + b1 * corners[1]->point + b2 * corners[2]->point;
      fragment.normal = (b0 * normals[0] + b1 * normals[1] + b2 * normals[2]).normalized();
      if (fragment.normal.z() < 0) fragment.normal = -fragment.normal;
      fragment.u = b0 * corners[0]->u + b1 * corners[1]->u + b2 * corners[2]->u;
      fragment.v = b0 * corners[0]->v + b1 * corners[1]->v + b2 * corners[2]->v;
      Rgb color;
      if (shader(fragment, color)) put(x, y, depth, color);
    }
  }
}

void Canvas::draw(const Mesh& mesh, const View& view, const Shader& shader, bool closed) {
  ++layer_;
  const Vec3 towards_viewer = view.rotation.row(2);
  for (int j = 0; j < mesh.rows(); ++j) {
    for (int i = 0; i < mesh.columns(); ++i) {
      const Mesh::Vertex *a = &mesh.at(i, j), *b = &mesh.at(i + 1, j);
      const Mesh::Vertex *c = &mesh.at(i, j + 1), *d = &mesh.at(i + 1, j + 1);
      if (closed && a->normal.dot(towards_viewer) < -.2f && d->normal.dot(towards_viewer) < -.2f)
        continue;
      draw_triangle({a, b, c}, view, shader);
      draw_triangle({b, d, c}, view, shader);
    }
  }
}

void Canvas::draw_rod(const Vec3& from, const Vec3& to, float radius, const View& view,
                      const Rgb& color) {
  ++layer_;
  const auto in_samples = [&](const Vec3& point) {
    Vec3 p = view.picture(point);
    p.x() = (p.x() - static_cast<float>(area_.x)) * static_cast<float>(samples_);
    p.y() = (p.y() - static_cast<float>(area_.y)) * static_cast<float>(samples_);
    return p;
  };
  const Vec3 a = in_samples(from), b = in_samples(to);
  const float r = std::max(radius * view.scale * static_cast<float>(samples_), .6f);
  const float dx = b.x() - a.x(), dy = b.y() - a.y(), length = std::max(dx * dx + dy * dy, 1e-6f);
  const int first_x = static_cast<int>(std::max(0.f, std::min(a.x(), b.x()) - r));
  const int first_y = static_cast<int>(std::max(0.f, std::min(a.y(), b.y()) - r));
  const int last_x =
      static_cast<int>(std::min(static_cast<float>(width_ - 1), std::max(a.x(), b.x()) + r));
  const int last_y =
      static_cast<int>(std::min(static_cast<float>(height_ - 1), std::max(a.y(), b.y()) + r));
  for (int y = first_y; y <= last_y; ++y) {
    for (int x = first_x; x <= last_x; ++x) {
      const float sx = static_cast<float>(x) + .5f - a.x(),
                  sy = static_cast<float>(y) + .5f - a.y();
      const float t = std::clamp((sx * dx + sy * dy) / length, 0.f, 1.f);
      const float away = std::hypot(sx - t * dx, sy - t * dy) / r;
      if (away > 1) continue;
      const float bulge = std::sqrt(1 - away * away);
      put(x, y, a.z() + t * (b.z() - a.z()) + bulge * radius * view.scale,
          color * (.72f + .28f * bulge));
    }
  }
}

void Canvas::lay_over(Image& image) const {
  const float all = static_cast<float>(samples_ * samples_);
  for (int y = 0; y < area_.height; ++y) {
    for (int x = 0; x < area_.width; ++x) {
      Rgb sum = Rgb::Zero();
      int covered = 0;
      for (int s = 0; s < samples_ * samples_; ++s) {
        const Sample& sample =
            buffer_[static_cast<std::size_t>(y * samples_ + s / samples_) * width_ + x * samples_ +
                    s % samples_];
        if (sample.layer == 0) continue;
        ++covered;
        sum += sample.color.max(0.f).min(1.f);
      }
      if (covered == 0) continue;
      std::uint8_t* pixel = image.at(area_.x + x, area_.y + y);
      const float under = 1 - static_cast<float>(covered) / all;
      for (int c = 0; c < 3; ++c)
        pixel[c] = static_cast<std::uint8_t>(
            std::lround(255 * sum[c] / all + under * static_cast<float>(pixel[c])));
    }
  }
}

Image Canvas::covered() const {
  Image out(area_.width, area_.height, 1);
  const int all = samples_ * samples_;
  for (int y = 0; y < area_.height; ++y) {
    for (int x = 0; x < area_.width; ++x) {
      int count = 0;
      for (int s = 0; s < all; ++s)
        count += buffer_[static_cast<std::size_t>(y * samples_ + s / samples_) * width_ +
                         x * samples_ + s % samples_]
                     .layer != 0;
      *out.at(x, y) = static_cast<std::uint8_t>(255 * count / all);
    }
  }
  return out;
}

std::vector<std::uint8_t> Canvas::layer_share(int layer, const Image& image) const {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(image.width) * image.height);
  for (int y = 0; y < area_.height; ++y) {
    for (int x = 0; x < area_.width; ++x) {
      int count = 0;
      for (int s = 0; s < samples_ * samples_; ++s)
        count += buffer_[static_cast<std::size_t>(y * samples_ + s / samples_) * width_ +
                         x * samples_ + s % samples_]
                     .layer == layer;
      out[static_cast<std::size_t>(area_.y + y) * image.width + area_.x + x] =
          static_cast<std::uint8_t>(255 * count / (samples_ * samples_));
    }
  }
  return out;
}

}  // namespace maskwatch::vision
