// Anti-aliased shapes and text on RGB pictures.
// Positions are continuous: pixel (i, j) covers the square from (i, j) to (i + 1, j + 1). Whatever
// lies outside the picture is cut off. Whatever draws throws std::invalid_argument for a picture
// that is not RGB; only paste() takes grey ones too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

struct Color {
  std::uint8_t r = 0;
  std::uint8_t g = 0;
  std::uint8_t b = 0;
};

// The colour at a pixel's centre, for gradients, patterns and shading.
using Paint = std::function<Color(float x, float y)>;

// How much of each pixel of `area` a shape covers, 0 to 1, row by row.
struct Coverage {
  PixelBox area;
  std::vector<float> share;
};

// Exact area coverage of the polygon inside a picture of width x height; parts wound the same way
// twice count once.
Coverage cover_polygon(std::span<const Point> points, int width, int height);

// Lines of the given thickness through the points, with round ends and joints.
Coverage cover_polyline(std::span<const Point> points, float thickness, bool closed, int width,
                        int height);

void paint(Image& image, const Coverage& coverage, const Paint& color, float opacity = 1);
void paint(Image& image, const Coverage& coverage, Color color, float opacity = 1);

void fill_polygon(Image& image, std::span<const Point> points, Color color, float opacity = 1);
void fill_polygon(Image& image, std::span<const Point> points, const Paint& color,
                  float opacity = 1);
void draw_polyline(Image& image, std::span<const Point> points, float thickness, Color color,
                   bool closed = false, float opacity = 1);
// `angle` in radians, from x towards y.
void fill_ellipse(Image& image, Point centre, float radius_x, float radius_y, Color color,
                  float opacity = 1, float angle = 0);
std::vector<Point> ellipse_points(Point centre, float radius_x, float radius_y, float angle = 0);

void fill_rectangle(Image& image, const Box& box, Color color, float opacity = 1);
// The line lies inside the box.
void draw_rectangle(Image& image, const Box& box, int line_width, Color color);

// In the width of line_width_for(), or in a smaller one around what is small.
void draw_box(Image& image, const Box& box, Color color);

// A line width in whole pixels that looks the same on pictures of all sizes: 2 at 480 rows.
int line_width_for(const Image& image);
// A text height in pixels that can be read on pictures of all sizes: 16 at 480 rows, never
// below 12.
float text_height_for(const Image& image);

struct TextSize {
  float width = 0;
  float height = 0;  // of a line, from the highest ascender to the lowest descender
};

// UTF-8 text in DejaVu Sans Bold; where that font is not installed, in a built-in ASCII font.
TextSize text_size(std::string_view text, float height);
void draw_text(Image& image, Point top_left, std::string_view text, float height, Color color,
               float opacity = 1);

// A box with what its tab says.
struct Label {
  Box box;
  std::string text;
  Color color;
};
// The tabs of boxes that draw_box() draws: above the box, or inside it where there is no room;
// always inside the picture; black or white letters, whichever can be read on the colour. None
// covers another's box or tab. Where there is not enough room letters become smaller, down to 7
// pixels, and then a tab is left out: of two, the later one. Those of low boxes are small from the
// first.
void draw_tabs(Image& image, std::span<const Label> labels);

// Copies `part` onto `image` with its top left corner at (x, y), cut off at the borders. Throws
// std::invalid_argument unless both are RGB or both grey.
void paste(Image& image, const Image& part, int x, int y);

}  // namespace maskwatch::vision
