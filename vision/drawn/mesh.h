// A small renderer of curved grids: z-buffer, several samples a pixel, colours from a function of
// the surface point. Camera axes: x right, y down, z towards the viewer; orthographic.
#pragma once

#include <Eigen/Core>
#include <Eigen/Geometry>
#include <functional>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

using Vec3 = Eigen::Vector3f;
using Rgb = Eigen::Array3f;  // 0..1, gamma-encoded

// From a model to the picture: a rotation, then scale and shift in pixels.
struct View {
  Eigen::Matrix3f rotation = Eigen::Matrix3f::Identity();
  Vec3 pivot = Vec3::Zero();  // model point that the rotation leaves in place
  float scale = 1;
  float x = 0, y = 0;  // where the model's origin comes to lie

  Vec3 camera(const Vec3& model) const { return rotation * (model - pivot) + pivot; }
  Vec3 picture(const Vec3& model) const { return camera(model) * scale + Vec3(x, y, 0); }
};

// A surface point of the model for each (u, v) in the unit square, sampled on a grid.
class Mesh {
 public:
  Mesh(int columns, int rows, const std::function<Vec3(float u, float v)>& surface);

  struct Vertex {
    Vec3 point, normal;
    float u, v;
  };
  int columns() const { return columns_; }
  int rows() const { return rows_; }
  const Vertex& at(int column, int row) const { return vertices_[row * (columns_ + 1) + column]; }

 private:
  int columns_, rows_;  // cells; one vertex more each way
  std::vector<Vertex> vertices_;
};

// What a shader sees of one sample.
struct Fragment {
  Vec3 point;   // in the model
  Vec3 normal;  // in the camera's axes, towards the viewer
  float u, v;
};

// Gives the colour, or says that there is nothing here.
using Shader = std::function<bool(const Fragment&, Rgb&)>;

class Canvas {
 public:
  // Covers width x height pixels whose first is (left, top) of the picture, samples x samples each.
  Canvas(PixelBox area, int samples);

  // Of a `closed` mesh the parts that face away are left out: others hide them.
  void draw(const Mesh& mesh, const View& view, const Shader& shader, bool closed = false);
  // A round rod between two points of the model, `radius` in model units.
  void draw_rod(const Vec3& from, const Vec3& to, float radius, const View& view, const Rgb& color);

  // Lays what was drawn over the picture.
  void lay_over(Image& image) const;

  // A grey picture of the canvas's size: how much of each pixel something was drawn on.
  Image covered() const;

  // The share of a pixel's samples whose last colour came from a draw call numbered `layer` (from
  // 1, in order).
  std::vector<std::uint8_t> layer_share(int layer, const Image& image) const;

 private:
  struct Sample {
    float depth = -1e30f;
    Rgb color = Rgb::Zero();
    int layer = 0;
  };
  void draw_triangle(const Mesh::Vertex* const (&corners)[3], const View& view,
                     const Shader& shader);
  void put(int x, int y, float depth, const Rgb& color);

  PixelBox area_;
  int samples_, width_, height_;
  int layer_ = 0;
  std::vector<Sample> buffer_;
};

}  // namespace maskwatch::vision
