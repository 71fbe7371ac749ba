#include "vision/drawn/mask_overlay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/random.h"
#include "vision/drawn/face_light.h"
#include "vision/drawn/image_degradation.h"
#include "vision/drawn/mask_fit.h"
#include "vision/drawn/mask_garment.h"
#include "vision/drawn/mesh.h"
#include "vision/image/augment.h"
#include "vision/image/codec.h"
#include "vision/image/resize.h"

namespace maskwatch::vision {
namespace {

constexpr int kMeshColumns = 44, kMeshRows = 32;
constexpr double kMostPixels = 1.5e6;  // that are rendered; larger masks are enlarged from it

void require_photo(const Image& photo, const char* operation) {
  if (photo.empty() || photo.channels != 3)
    throw std::invalid_argument(fmt::format("{}: a picture of {}x{}x{}, but RGB is needed",
                                            operation, photo.width, photo.height, photo.channels));
}

// Smooth factors over the cloth, from a coarse grid.
class SoftGrid {
 public:
  template <class At>
  explicit SoftGrid(const At& at) {
    for (int j = 0; j <= cells; ++j)
      for (int i = 0; i <= cells; ++i)
        value_[j][i] = at(static_cast<float>(i) / cells, static_cast<float>(j) / cells);
  }
  float operator()(float u, float v) const {
    const float x = std::clamp(u, 0.f, 1.f) * cells, y = std::clamp(v, 0.f, 1.f) * cells;
    const int i = std::min(static_cast<int>(x), cells - 1),
              j = std::min(static_cast<int>(y), cells - 1);
    const float a = x - static_cast<float>(i), b = y - static_cast<float>(j);
    return (1 - b) * ((1 - a) * value_[j][i] + a * value_[j][i + 1]) +
           b * ((1 - a) * value_[j + 1][i] + a * value_[j + 1][i + 1]);
  }

 private:
  static constexpr int cells = 10;
  float value_[cells + 1][cells + 1];
};

// A part of the picture that is drawn on its own: what is laid over `area`, premultiplied.
struct Layer {
  PixelBox area;
  Image color;  // RGB times share
  Image share;  // grey
};

class MaskPainter {
 public:
  MaskPainter(const MaskDesign& design, const FittedHead& head, const MaskGarment& garment,
              const FaceLight& light)
      : design_(design),
        head_(head),
        garment_(garment),
        light_(light),
        local_([&](float u, float v) {
          const auto at = garment.place(u, v);
          return light.local(at.angle, at.y);
        }) {}

  Layer draw(const Image& photo, float margin) const;

 private:
  Rgb lit(const Rgb& cloth, const Vec3& normal, float factor) const;
  void draw_bands(Canvas& canvas, const View& view) const;

  const MaskDesign& design_;
  const FittedHead& head_;
  const MaskGarment& garment_;
  const FaceLight& light_;
  SoftGrid local_;
};

Rgb MaskPainter::lit(const Rgb& cloth, const Vec3& normal, float factor) const {
  const float light = design_.exposure * light_.on(normal) * factor;
  Rgb color = cloth * std::pow(std::max(light, .01f), 1 / 2.2f) * light_.cast();
  const float grey = .299f * color[0] + .587f * color[1] + .114f * color[2];
  color = grey + light_.saturation() * (color - grey);
  // Bright cloth keeps its folds: film and sensors roll off.
  return color.unaryExpr(
      [](float c) { return c < .8f ? c : .8f + .2f * std::tanh((c - .8f) / .2f); });
}

void MaskPainter::draw_bands(Canvas& canvas, const View& view) const {
  for (const MaskGarment::Band& band : garment_.bands()) {
    const auto skin = [&](float angle, float y) { return head_.shape().skin(angle, y, .03f, 0); };
    for (std::size_t i = 0; i + 1 < band.points.size(); ++i) {
      const Vec3 &a = band.points[i], &b = band.points[i + 1];
      const Vec3 normal = head_.normal(skin, (a.x() + b.x()) / 2, (a.y() + b.y()) / 2);
      if (!(normal.z() > .04f)) continue;  // behind the head
      canvas.draw_rod(head_.place(skin(a.x(), a.y())), head_.place(skin(b.x(), b.y())),
                      band.radius * head_.scale(), view, lit(band.color, normal, 1));
    }
  }
}

// Where the mask and its bands come to lie, clamped to the photograph.
PixelBox bounds_of(const FittedHead& head, const MaskGarment& garment, const Image& photo,
                   float margin) {
  float low_x = 1e9f, low_y = 1e9f, high_x = -1e9f, high_y = -1e9f;
  const auto add = [&](const Vec3& at) {
    low_x = std::min(low_x, at.x() - margin);
    high_x = std::max(high_x, at.x() + margin);
    low_y = std::min(low_y, at.y() - margin);
    high_y = std::max(high_y, at.y() + margin);
  };
  for (int j = 0; j <= 16; ++j)
    for (int i = 0; i <= 16; ++i)
      add(head.place(garment.surface(static_cast<float>(i) / 16, static_cast<float>(j) / 16)));
  for (const MaskGarment::Band& band : garment.bands())
    for (const Vec3& p : band.points) add(head.place(head.shape().skin(p.x(), p.y(), .05f, 0)));
  const auto pixel = [](float at, int end) {
    return static_cast<int>(std::clamp(at, 0.f, static_cast<float>(end)));
  };
  const int left = pixel(std::floor(low_x), photo.width),
            top = pixel(std::floor(low_y), photo.height);
  return {left, top, pixel(std::ceil(high_x), photo.width) - left,
          pixel(std::ceil(high_y), photo.height) - top};
}

Layer MaskPainter::draw(const Image& photo, float margin) const {
  Layer layer{bounds_of(head_, garment_, photo, margin), {}, {}};
  if (layer.area.width <= 0 || layer.area.height <= 0) return layer;
  const double pixels = static_cast<double>(layer.area.width) * layer.area.height;
  const float shrink = static_cast<float>(std::min(1.0, std::sqrt(kMostPixels / pixels)));
  const PixelBox canvas_area{
      0, 0, std::max(1, static_cast<int>(static_cast<float>(layer.area.width) * shrink)),
      std::max(1, static_cast<int>(static_cast<float>(layer.area.height) * shrink))};
  Canvas canvas(canvas_area, pixels > 2e4 ? 2 : 3);  // small masks need finer edges
  View view;
  view.scale = shrink;
  view.x = -static_cast<float>(layer.area.x) * shrink;
  view.y = -static_cast<float>(layer.area.y) * shrink;
  draw_bands(canvas, view);
  const Mesh mesh(kMeshColumns, kMeshRows,
                  [&](float u, float v) { return head_.place(garment_.surface(u, v)); });
  canvas.draw(
      mesh, view,
      [&](const Fragment& at, Rgb& color) {
        const Eigen::Vector2f relief = garment_.relief(at.u, at.v);
        const Vec3 normal = (at.normal + Vec3(relief.x(), relief.y(), 0)).normalized();
        color = lit(garment_.cloth(at.u, at.v), normal,
                    local_(at.u, at.v) * (1 - garment_.crease(at.u, at.v)));
        return true;
      },
      true);
  layer.color = Image(canvas_area.width, canvas_area.height);
  canvas.lay_over(layer.color);
  layer.share = canvas.covered();
  if (shrink < 1) {
    layer.color = resize(layer.color, layer.area.width, layer.area.height);
    layer.share = resize(layer.share, layer.area.width, layer.area.height);
  }
  return layer;
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.f, 255.f)));
}

// The mask keeps some light from the skin around it.
void cast_shadow(Image& part, const Image& share, float scale) {
  Image shadow = share;
  blur(shadow, std::clamp(.035f * scale, .6f, 12.f));
  const int drop = static_cast<int>(.02f * scale);
  for (int y = 0; y < part.height; ++y) {
    for (int x = 0; x < part.width; ++x) {
      const float dark = static_cast<float>(*shadow.at(x, std::max(0, y - drop))) / 255;
      for (int c = 0; c < 3; ++c)
        part.at(x, y)[c] = to_byte(static_cast<float>(part.at(x, y)[c]) * (1 - .28f * dark));
    }
  }
}

// The layer over `part`, with noise of its own in as far as it covers.
void compose(Image& part, const Layer& layer, float noise, std::uint64_t seed) {
  Random random{seed, 5};
  for (int y = 0; y < part.height; ++y) {
    for (int x = 0; x < part.width; ++x) {
      const float share = static_cast<float>(*layer.share.at(x, y)) / 255;
      const float common = .8f * noise * static_cast<float>(random.bounded_normal());
      for (int c = 0; c < 3; ++c) {
        const float grain = common + .6f * noise * static_cast<float>(random.bounded_normal());
        part.at(x, y)[c] = to_byte(static_cast<float>(part.at(x, y)[c]) * (1 - share) +
                                   static_cast<float>(layer.color.at(x, y)[c]) + share * grain);
      }
    }
  }
}

// The blocks of the photograph's JPEG run through the mask too. `part` begins on a block's border.
void add_blocks(Image& part, const Image& share, int quality) {
  if (quality >= 100) return;
  const std::string bytes = codec::encode_jpeg(part, quality);
  const Image packed =
      decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "lay_mask");
  for (std::size_t i = 0; i < share.pixels.size(); ++i)
    if (share.pixels[i] > 0) std::copy_n(&packed.pixels[3 * i], 3, &part.pixels[3 * i]);
}

// Grown so that it begins on the border of a JPEG block.
PixelBox on_blocks(PixelBox area) {
  const int left = area.x / 8 * 8, top = area.y / 8 * 8;
  return {left, top, area.width + area.x - left, area.height + area.y - top};
}

PixelBox face_area(std::span<const Point, 68> landmarks, const Image& photo) {
  float low_x = 1e9f, low_y = 1e9f, high_x = -1e9f, high_y = -1e9f;
  for (const Point& p : landmarks) {
    low_x = std::min(low_x, p.x);
    high_x = std::max(high_x, p.x);
    low_y = std::min(low_y, p.y);
    high_y = std::max(high_y, p.y);
  }
  const auto pixel = [](float at, int end) {
    return static_cast<int>(std::clamp(at, 0.f, static_cast<float>(end)));
  };
  const int left = pixel(low_x, photo.width), top = pixel(low_y, photo.height);
  return {left, top, pixel(high_x, photo.width) - left, pixel(high_y, photo.height) - top};
}

Layer pasted_on(const Layer& layer, const PixelBox& area) {
  Layer out{area, Image(area.width, area.height), Image(area.width, area.height, 1)};
  paste(out.color, layer.color, layer.area.x - area.x, layer.area.y - area.y);
  paste(out.share, layer.share, layer.area.x - area.x, layer.area.y - area.y);
  return out;
}

Image part_of(const Image& image, const PixelBox& area) {
  Image part(area.width, area.height, image.channels);
  paste(part, image, -area.x, -area.y);
  return part;
}

}  // namespace

MaskedFace lay_mask(const Image& photo, std::span<const Point, 68> landmarks,
                    const MaskDesign& design) {
  require_photo(photo, "lay_mask");
  const FittedHead head(landmarks);
  const FaceLight light(photo, head);
  const MaskGarment garment(design, head.shape());
  const ImageDegradation degradation = measure_degradation(photo, face_area(landmarks, photo));
  const float softness = std::min(
      std::sqrt(std::max(0.f, degradation.blur * degradation.blur - .25f)), .04f * head.scale());
  const MaskPainter painter(design, head, garment, light);
  MaskedFace out{photo, Image(photo.width, photo.height, 1)};
  Layer layer = painter.draw(photo, 3 + 3 * softness + .1f * head.scale());
  if (layer.share.empty()) return out;
  layer = pasted_on(layer, on_blocks(layer.area));
  blur(layer.color, softness);
  blur(layer.share, softness);
  Image part = part_of(photo, layer.area);
  cast_shadow(part, layer.share, head.scale());
  compose(part, layer, std::min(degradation.noise, 25.f), design.seed);
  add_blocks(part, layer.share, jpeg_quality_of(degradation));
  paste(out.picture, part, layer.area.x, layer.area.y);
  paste(out.covered, layer.share, layer.area.x, layer.area.y);
  return out;
}

}  // namespace maskwatch::vision
