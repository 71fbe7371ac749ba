#include "vision/video/frame_converter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "vision/video/ffmpeg.h"

using namespace maskwatch;

using vision::FrameConverter;
using vision::Image;
using vision::Orientation;

namespace {

vision::ffmpeg::Frame make(int width, int height, AVPixelFormat format) {
  vision::ffmpeg::Frame frame = vision::ffmpeg::make_frame();
  frame->width = width;
  frame->height = height;
  frame->format = format;
  REQUIRE(av_frame_get_buffer(frame.get(), 0) == 0);
  return frame;
}

// One colour in YUV 4:4:4.
vision::ffmpeg::Frame flat(int width, int height, int y, int u, int v) {
  auto frame = make(width, height, AV_PIX_FMT_YUV444P);
  const int values[3] = {y, u, v};
  for (int plane = 0; plane < 3; ++plane)
    for (int row = 0; row < height; ++row)
      std::fill_n(frame->data[plane] + row * frame->linesize[plane], width, values[plane]);
  return frame;
}

struct Luma {
  double r, b;
};

// The definition of Y'CbCr (BT.601, BT.709: kr and kb; full or limited range).
void check_colour(const Image& image, Luma k, bool full, int y, int u, int v) {
  const double luma = full ? y / 255.0 : (y - 16) / 219.0;
  const double pb = (u - 128) / (full ? 255.0 : 224.0), pr = (v - 128) / (full ? 255.0 : 224.0);
  const double r = luma + 2 * (1 - k.r) * pr, b = luma + 2 * (1 - k.b) * pb;
  const double g = (luma - k.r * r - k.b * b) / (1 - k.r - k.b);
  const double wanted[3] = {r, g, b};
  for (int c = 0; c < 3; ++c)
    CHECK(std::abs(image.at(1, 1)[c] - std::clamp(wanted[c] * 255, 0.0, 255.0)) <= 2);
}

}  // namespace

TEST_CASE("frame_converter: matrix and range of the frame count") {
  constexpr Luma bt601 = {0.299, 0.114}, bt709 = {0.2126, 0.0722};
  FrameConverter converter;
  Image image;
  for (const int y : {40, 120, 200})
    for (const int u : {90, 128, 150})
      for (const bool full : {false, true}) {
        auto frame = flat(66, 10, y, u, 140);
        frame->color_range = full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
        frame->colorspace = AVCOL_SPC_BT709;
        converter.convert(*frame, 1, {}, image);
        check_colour(image, bt709, full, y, u, 140);
        frame->colorspace = AVCOL_SPC_SMPTE170M;
        converter.convert(*frame, 1, {}, image);
        check_colour(image, bt601, full, y, u, 140);
        frame->colorspace = AVCOL_SPC_UNSPECIFIED;
        converter.convert(*frame, 1, {}, image);
        check_colour(image, bt601, full, y, u, 140);
      }
  auto large = flat(1280, 16, 120, 90, 160);
  converter.convert(*large, 1, {}, image);
  check_colour(image, bt709, false, 120, 90, 160);
}

TEST_CASE("frame_converter: every width keeps its pixels, and size may change") {
  FrameConverter converter;
  Image image;
  for (int width = 1; width <= 140; ++width) {
    const int height = 1 + width % 5;
    auto frame = make(width, height, AV_PIX_FMT_RGB24);
    for (int y = 0; y < height; ++y)
      for (int i = 0; i < 3 * width; ++i)
        frame->data[0][y * frame->linesize[0] + i] = static_cast<std::uint8_t>(i * 7 + y * 31);
    converter.convert(*frame, 1, {}, image);
    REQUIRE(image.width == width);
    REQUIRE(image.height == height);
    bool same = true;
    for (int y = 0; y < height; ++y)
      for (int i = 0; i < 3 * width; ++i)
        same = same && image.row(y)[i] == static_cast<std::uint8_t>(i * 7 + y * 31);
    CHECK(same);
  }
}

TEST_CASE("frame_converter: a display matrix turns the picture") {
  // The picture's point (x, y) is shown at (a x + c y, b x + d y); entries in 16.16.
  struct Turn {
    int a, b, c, d;
  };
  constexpr int one = 1 << 16;
  for (const Turn t :
       {Turn{1, 0, 0, 1}, Turn{0, 1, -1, 0}, Turn{-1, 0, 0, -1}, Turn{0, -1, 1, 0},
        Turn{-1, 0, 0, 1}, Turn{1, 0, 0, -1}, Turn{0, 1, 1, 0}, Turn{0, -1, -1, 0}}) {
    CAPTURE(t.a);
    CAPTURE(t.b);
    const std::int32_t matrix[9] = {t.a * one, t.b * one, 0, t.c * one, t.d * one,
                                    0,         0,         0, 1 << 30};
    constexpr int width = 5, height = 3;
    auto frame = make(width, height, AV_PIX_FMT_RGB24);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < 3; ++c)
          frame->data[0][y * frame->linesize[0] + 3 * x + c] =
              static_cast<std::uint8_t>(x + 10 * y + 100 * (c == 1));
    Image image;
    FrameConverter().convert(*frame, 1, vision::orientation_of(matrix), image);
    REQUIRE(image.width == (t.a != 0 ? width : height));
    REQUIRE(image.height == (t.a != 0 ? height : width));
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const int shown_x = t.a * x + t.c * y, shown_y = t.b * x + t.d * y;
        const int left = t.a + t.c < 0 ? image.width - 1 : 0;
        const int top = t.b + t.d < 0 ? image.height - 1 : 0;
        CHECK(image.at(left + shown_x, top + shown_y)[0] == x + 10 * y);
        CHECK(image.at(left + shown_x, top + shown_y)[1] == x + 10 * y + 100);
      }
  }
}

TEST_CASE("frame_converter: pixels that are not square become so, and then turn") {
  struct Case {
    AVRational told;
    int width, height;
  };
  for (const Case& c : {Case{{2, 1}, 96, 36}, Case{{1, 2}, 48, 72}, Case{{64, 45}, 68, 36},
                        Case{{12, 11}, 52, 36}, Case{{10, 11}, 48, 40}, Case{{1, 1}, 48, 36},
                        Case{{1281, 1280}, 48, 36}, Case{{242, 239}, 48, 36}, Case{{0, 1}, 48, 36},
                        Case{{9, 1}, 48, 36}, Case{{1, 9}, 48, 36}, Case{{5, 0}, 48, 36}}) {
    CAPTURE(c.told.num);
    CAPTURE(c.told.den);
    // The left half is black, and the upper quarter of the right half.
    auto frame = make(48, 36, AV_PIX_FMT_RGB24);
    for (int y = 0; y < 36; ++y)
      for (int i = 0; i < 3 * 48; ++i)
        frame->data[0][y * frame->linesize[0] + i] = i < 3 * 24 || y < 9 ? 0 : 255;
    Image image;
    for (const int degrees : {0, 90}) {
      FrameConverter().convert(*frame, vision::pixel_aspect(c.told), vision::turned(degrees, false),
                               image);
      const int across = degrees == 0 ? image.width : image.height;
      const int down = degrees == 0 ? image.height : image.width;
      CHECK(across == c.width);
      CHECK(down == c.height);
      const auto at = [&](int x, int y) {
        return degrees == 0 ? *image.at(x, y) : *image.at(image.width - 1 - y, x);
      };
      CHECK(at(c.width / 2 - 4, c.height - 1) < 64);
      CHECK(at(c.width / 2 + 4, c.height - 1) > 192);
      CHECK(at(c.width - 1, c.height / 4 - 4) < 64);
      CHECK(at(c.width - 1, c.height / 4 + 4) > 192);
    }
  }
  CHECK(vision::is_absurd_aspect({9, 1}));
  CHECK(vision::is_absurd_aspect({1, 9}));
  CHECK_FALSE(vision::is_absurd_aspect({64, 45}));
  CHECK_FALSE(vision::is_absurd_aspect({0, 1}));
  // Stretched, this would take eight times the memory of the largest picture.
  const vision::ImageSize huge = vision::square_pixel_size(8000, 8000, 8);
  CHECK(huge.width == 8000);
  CHECK(huge.height == 1000);
}

TEST_CASE("frame_converter: a format that cannot be converted is named") {
  vision::ffmpeg::prepare();
  vision::ffmpeg::Frame frame = vision::ffmpeg::make_frame();
  frame->width = frame->height = 16;
  frame->format = AV_PIX_FMT_VAAPI;
  Image image;
  CHECK_THROWS_WITH_AS(FrameConverter().convert(*frame, 1, {}, image), doctest::Contains("vaapi"),
                       std::runtime_error);
}
