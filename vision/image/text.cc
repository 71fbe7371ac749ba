#include "vision/image/text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/file.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#define STBTT_STATIC
#define STB_TRUETYPE_IMPLEMENTATION
#include <stb_easy_font.h>
#include <stb_truetype.h>
#pragma GCC diagnostic pop

namespace maskwatch::vision {
namespace {

constexpr std::size_t kLongestText = 4096;  // bytes; what is longer is cut
constexpr float kTallestText = 4096;        // pixels

// Debian's fonts-dejavu-core, and where other systems put the same font.
constexpr const char* font_paths[] = {
    "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/TTF/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf",
    "/usr/share/fonts/dejavu/DejaVuSans-Bold.ttf",
};

// The next code point of UTF-8 text; a damaged sequence gives U+FFFD and one byte is passed.
int next_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC0 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                                            : 4;
  int code = length == 1 ? first : first & (0xFF >> (length + 1));
  bool sound = length != 0 && length <= text.size();
  for (std::size_t i = 1; sound && i < length; ++i) {
    sound = (byte(i) & 0xC0) == 0x80;
    code = code << 6 | (byte(i) & 0x3F);
  }
  text.remove_prefix(sound ? length : 1);
  return sound ? code : 0xFFFD;
}

class OutlineTypeface : public Typeface {
 public:
  // stb_truetype trusts its file, so only the system's own font is ever given to it.
  explicit OutlineTypeface(std::string bytes) : bytes_(std::move(bytes)) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes_.data());
    if (bytes_.size() < 1024 || !stbtt_InitFont(&info_, data, 0))
      throw std::runtime_error("not a TrueType font");
  }

  TextSize size(std::string_view text, float height) const override {
    float end = 0;
    walk(text, height, [&](int, float, float next) { end = next; });
    return {end, height};
  }

  void draw(Image& image, Point top_left, std::string_view text, float height, Color color,
            float opacity) const override {
    const float scale = stbtt_ScaleForPixelHeight(&info_, height);
    int ascent, descent, gap;
    stbtt_GetFontVMetrics(&info_, &ascent, &descent, &gap);
    const float baseline = std::round(top_left.y + scale * static_cast<float>(ascent));
    walk(text, height, [&](int glyph, float start, float) {
      draw_glyph(image, glyph, scale, {top_left.x + start, baseline}, color, opacity);
    });
  }

 private:
  // body(glyph, start, start of the next one), in pixels from the start of the text.
  template <class Body>
  void walk(std::string_view text, float height, Body body) const {
    const float scale = stbtt_ScaleForPixelHeight(&info_, height);
    float at = 0;
    int before = 0;
    while (!text.empty()) {
      const int glyph = stbtt_FindGlyphIndex(&info_, next_code_point(text));
      int advance, bearing;
      stbtt_GetGlyphHMetrics(&info_, glyph, &advance, &bearing);
      if (before)
        at += scale * static_cast<float>(stbtt_GetGlyphKernAdvance(&info_, before, glyph));
      const float next = at + scale * static_cast<float>(advance);
      body(glyph, at, next);
      at = next;
      before = glyph;
    }
  }

  void draw_glyph(Image& image, int glyph, float scale, Point origin, Color color,
                  float opacity) const {
    if (!(std::abs(origin.x) < 1e6f && std::abs(origin.y) < 1e6f)) return;
    const float whole = std::floor(origin.x), rest = origin.x - whole;
    int x0, y0, x1, y1;
    stbtt_GetGlyphBitmapBoxSubpixel(&info_, glyph, scale, scale, rest, 0, &x0, &y0, &x1, &y1);
    const int width = x1 - x0, height = y1 - y0;
    if (width <= 0 || height <= 0) return;
    std::vector<unsigned char> bitmap(static_cast<std::size_t>(width) * height);
    stbtt_MakeGlyphBitmapSubpixel(&info_, bitmap.data(), width, height, width, scale, scale, rest,
                                  0, glyph);
    Coverage coverage{
        {static_cast<int>(whole) + x0, static_cast<int>(origin.y) + y0, width, height},
        std::vector<float>(bitmap.size())};
    std::transform(bitmap.begin(), bitmap.end(), coverage.share.begin(),
                   [](unsigned char share) { return static_cast<float>(share) / 255; });
    paint(image, coverage, color, opacity);
  }

  std::string bytes_;
  stbtt_fontinfo info_{};
};

// stb_easy_font draws lines of 12 units of which capitals take 7.
class RectangleTypeface : public Typeface {
 public:
  TextSize size(std::string_view text, float height) const override {
    std::string plain = printable(text);
    return {static_cast<float>(stb_easy_font_width(plain.data())) * height / line_units, height};
  }

  void draw(Image& image, Point top_left, std::string_view text, float height, Color color,
            float opacity) const override {
    struct Corner {
      float x, y, z;
      unsigned char color[4];
    };
    std::string plain = printable(text);
    std::vector<char> buffer(plain.size() * 1024 + 1024);
    const int count = stb_easy_font_print(0, 0, plain.data(), nullptr, buffer.data(),
                                          static_cast<int>(buffer.size()));
    const float scale = height / line_units;
    for (int i = 0; i < count; ++i) {
      Corner corners[4];
      std::memcpy(corners, buffer.data() + i * sizeof corners, sizeof corners);
      fill_rectangle(image,
                     {top_left.x + corners[0].x * scale, top_left.y + (corners[0].y + 1) * scale,
                      (corners[2].x - corners[0].x) * scale, (corners[2].y - corners[0].y) * scale},
                     color, opacity);
    }
  }

 private:
  static constexpr float line_units = 12;

  static std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      const int code = next_code_point(text);
      out += code >= 32 && code < 127 ? static_cast<char>(code) : '?';
    }
    return out;
  }
};

std::unique_ptr<const Typeface> find_outlines() {
  for (const char* path : font_paths) {
    std::error_code none;
    if (!std::filesystem::is_regular_file(path, none)) continue;
    try {
      return std::make_unique<OutlineTypeface>(read_file(path));
    } catch (const std::runtime_error&) {
      continue;  // a font that cannot be used must not take the labels away
    }
  }
  return nullptr;
}

}  // namespace

const Typeface& builtin_typeface() {
  static const RectangleTypeface typeface;
  return typeface;
}

const Typeface& system_typeface() {
  static const std::unique_ptr<const Typeface> outlines = find_outlines();
  return outlines ? *outlines : builtin_typeface();
}

TextSize text_size(std::string_view text, float height) {
  return system_typeface().size(text.substr(0, kLongestText),
                                std::clamp(height, 1.f, kTallestText));
}

void draw_text(Image& image, Point top_left, std::string_view text, float height, Color color,
               float opacity) {
  if (image.channels != 3) throw std::invalid_argument("draw_text: an RGB picture is needed");
  system_typeface().draw(image, top_left, text.substr(0, kLongestText),
                         std::clamp(height, 1.f, kTallestText), color, opacity);
}

}  // namespace maskwatch::vision
