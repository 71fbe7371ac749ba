// Pictures of every format that is read, to pixels. PNG's check sums are put right after a change.
#include <initializer_list>
#include <span>

#include "tests/fuzz/fuzz.h"
#include "tests/vision/image/optional_pictures.h"
#include "tests/vision/image/small_pictures.h"
#include "vision/image/codec.h"
#include "vision/image/codec_gif.h"
#include "vision/image/codec_heif.h"
#include "vision/image/codec_tiff.h"
#include "vision/image/codec_webp.h"
#include "vision/image/crc32.h"
#include "vision/image/image.h"

namespace maskwatch::fuzz {
namespace {

std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string as_text(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<std::string> seeds() {
  namespace small = small_pictures;
  std::vector<std::string> seeds;
  for (const char* digits :
       {small::grey16_png, small::grey_alpha_png, small::rgba_png, small::palette_png,
        small::jpeg_orientation_6, small::progressive_jpeg})
    seeds.push_back(as_text(small::bytes(digits)));
  const auto add = [&](const vision::OptionalFormat& format,
                       std::initializer_list<const char*> pictures) {
    if (!format.built) return;
    for (const char* digits : pictures) seeds.push_back(as_text(small::bytes(digits)));
  };
  add(vision::kGif, {small::gif, small::animated_gif, small::transparent_gif});
  add(vision::kTiff,
      {small::tiff, small::tiff_lzw, small::tiff_orientation_6, small::transparent_tiff});
  add(vision::kWebp, {small::webp_lossless, small::webp_lossy, small::animated_webp,
                      small::webp_orientation_6, small::transparent_webp});
  add(vision::kHeif, {small::heic, small::avif});
  std::vector<std::uint8_t> bmp = small::bmp(5, 4, 24);
  bmp.resize(bmp.size() + 200);
  seeds.push_back(as_text(bmp));
  vision::Image image(19, 11);
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<std::uint8_t>(i * i);
  seeds.push_back(vision::codec::encode_png(image));
  seeds.push_back(vision::codec::encode_jpeg(image, 80));
  return seeds;
}

bool run(std::string_view bytes) {
  return expect_faults([&] {
    const vision::Image image = vision::decode_image(as_bytes(bytes), "picture");
    if (!vision::is_sound(image) || image.empty()) std::abort();
  });
}

void mend_check_sums(std::string& png) {
  const auto u32 = [&](std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<unsigned char>(png[at + i]);
    return std::size_t{value};
  };
  for (std::size_t at = 8; at + 12 <= png.size() && u32(at) <= png.size() - at - 12;) {
    const std::size_t end = at + 8 + u32(at);
    const std::uint32_t crc = vision::crc32(as_bytes(png).subspan(at + 4, end - at - 4));
    for (std::size_t i = 0; i < 4; ++i) png[end + i] = static_cast<char>(crc >> (24 - 8 * i));
    at = end + 4;
  }
}

void mutate(std::string& bytes, std::size_t most, const Mutator& plain, Random& random) {
  plain(bytes, most);
  if (bytes.starts_with("\x89PNG") && random.chance(0.9)) mend_check_sums(bytes);
}

}  // namespace

const Target picture{"picture", seeds, run, mutate, true};

}  // namespace maskwatch::fuzz
