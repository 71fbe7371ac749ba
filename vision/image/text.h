// The two typefaces behind draw_text and text_size of vision/image/draw.h.
#pragma once

#include <string_view>

#include "vision/image/draw.h"

namespace maskwatch::vision {

class Typeface {
 public:
  virtual ~Typeface() = default;
  virtual TextSize size(std::string_view text, float height) const = 0;
  virtual void draw(Image& image, Point top_left, std::string_view text, float height, Color color,
                    float opacity) const = 0;
};

// DejaVu Sans Bold where the system has it, the built-in typeface elsewhere.
const Typeface& system_typeface();

// Printable ASCII, made of rectangles; every other character is shown as a question mark.
const Typeface& builtin_typeface();

}  // namespace maskwatch::vision
