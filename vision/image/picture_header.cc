#include "vision/image/picture_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/resource_limits.h"
#include "vision/image/codec_gif.h"
#include "vision/image/codec_heif.h"
#include "vision/image/codec_tiff.h"
#include "vision/image/codec_webp.h"
#include "vision/image/crc32.h"

namespace maskwatch::vision {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what); }

// Numbers of either byte order; reading past the end is the error "truncated".
class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  std::size_t size() const { return bytes_.size(); }
  std::uint32_t u8(std::size_t at) const { return number(at, 1); }
  std::uint32_t u16(std::size_t at) const { return number(at, 2); }
  std::uint32_t u32(std::size_t at) const { return number(at, 4); }
  bool holds(std::size_t at, std::size_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }

 private:
  std::uint32_t number(std::size_t at, int count) const {
    if (!holds(at, count)) fail("truncated");
    std::uint32_t value = 0;
    for (int i = 0; i < count; ++i)
      value |= std::uint32_t{bytes_[at + i]} << 8 * (big_endian_ ? count - 1 - i : i);
    return value;
  }

  std::span<const std::uint8_t> bytes_;
  bool big_endian_;
};

constexpr std::int64_t kMillion = 1'000'000;

void set_size(PictureHeader& header, std::int64_t width, std::int64_t height) {
  check_picture_size(width, height);
  header.width = static_cast<int>(width);
  header.height = static_cast<int>(height);
}

// `unpacked`: the size that the compressed `bytes` must grow to; `growth`: the most that each can.
void check_capacity(const PictureHeader& header, std::int64_t bytes, std::int64_t unpacked,
                    std::int64_t growth) {
  if (bytes == 0 || unpacked > bytes * growth)
    fail(fmt::format("truncated: {} bytes cannot hold {}x{} pixels", bytes, header.width,
                     header.height));
}

// From the first byte after a scan's header to the marker that ends its entropy-coded bytes.
std::size_t end_of_scan(std::span<const std::uint8_t> bytes, std::size_t at) {
  while (at + 1 < bytes.size()) {
    const void* found = std::memchr(bytes.data() + at, 0xFF, bytes.size() - 1 - at);
    if (found == nullptr) break;
    at = static_cast<const std::uint8_t*>(found) - bytes.data();
    const int next = bytes[at + 1];
    const bool restart = next >= 0xD0 && next <= 0xD7;
    if (next != 0 && next != 0xFF && !restart) return at;
    at += next == 0xFF ? 1 : 2;
  }
  fail("truncated: the JPEG data ends in the middle of the picture");
}

void read_frame(const Reader& in, std::size_t at, int marker, PictureHeader& header) {
  if (marker > 0xC2)
    fail("a lossless, hierarchical or arithmetic-coded JPEG, which is not supported");
  if (header.width != 0) fail("corrupt JPEG: two frame headers");
  if (in.u8(at + 2) != 8) fail("only JPEGs of 8 bits a sample are supported");
  set_size(header, in.u16(at + 5), in.u16(at + 3));
}

// stb_image 2.27 writes past its table when a Huffman code has more than 256 symbols.
void check_huffman_codes(const Reader& in, std::size_t at, std::size_t length) {
  for (std::size_t code = at + 2; code < at + length;) {
    std::size_t symbols = 0;
    for (std::size_t i = 1; i <= 16; ++i) symbols += in.u8(code + i);
    if (symbols > 256) fail("corrupt JPEG: a Huffman code of more than 256 symbols");
    code += 17 + symbols;
  }
}

bool is_frame_marker(int marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// A decoder goes through the whole picture for each scan of a progressive JPEG, however few bytes
// it has. Encoders write about ten; those that try them out, a few dozen.
constexpr int kMaxScans = 100;
// Of the largest pictures, fewer: all scans together may pass this many times the most pixels.
constexpr std::int64_t kMaxPasses = 16;

void check_scans(int scans, const PictureHeader& header) {
  const std::int64_t pixels = std::int64_t{header.width} * header.height;
  if (scans > kMaxScans || pixels > kMaxPasses * max_picture_pixels() / scans)
    fail(fmt::format("a JPEG of {} scans or more; at most {} are read, fewer of a large picture",
                     scans, kMaxScans));
}

PictureHeader inspect_jpeg(std::span<const std::uint8_t> bytes) {
  const Reader in(bytes, true);
  PictureHeader header;
  std::size_t scan_bytes = 0;
  int scans = 0;
  for (std::size_t at = 2;;) {
    if (!in.holds(at, 2)) fail("truncated: the JPEG has no end mark");
    if (bytes[at] != 0xFF) {  // decoders skip stray bytes between segments, so do we
      ++at;
      continue;
    }
    const int marker = bytes[at + 1];
    if (marker == 0xFF || marker == 0) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0xD9) break;
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) continue;
    const std::size_t length = in.u16(at);
    if (length < 2) fail("corrupt JPEG: a segment of impossible length");
    if (!in.holds(at, length)) fail("truncated: a JPEG segment runs past the end of the file");
    if (is_frame_marker(marker)) read_frame(in, at, marker, header);
    if (marker == 0xC4) check_huffman_codes(in, at, length);
    if (marker == 0xE1 && length >= 8 && std::memcmp(&bytes[at + 2], "Exif\0", 6) == 0)
      header.orientation = exif_orientation(bytes.subspan(at + 8, length - 8));
    const std::size_t body = at;
    at += length;
    if (marker == 0xDA) {
      if (header.width == 0) fail("corrupt JPEG: a scan before the frame header");
      check_scans(++scans, header);
      const std::size_t end = end_of_scan(bytes, at);
      scan_bytes += end - body;
      at = end;
    }
  }
  if (scan_bytes == 0) fail("corrupt JPEG: it has no scan");
  // Every block of 8x8 pixels takes one bit at the least.
  check_capacity(header, static_cast<std::int64_t>(scan_bytes) + 64,
                 std::int64_t{header.width} * header.height, 512);
  return header;
}

int png_bits_per_pixel(std::uint32_t depth, std::uint32_t colour_type) {
  struct Kind {
    std::uint32_t colour_type;
    int samples;
    std::initializer_list<std::uint32_t> depths;
  };
  constexpr std::uint32_t grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgba = 6;
  for (const Kind& kind : {Kind{grey, 1, {1, 2, 4, 8, 16}},
                           {rgb, 3, {8, 16}},
                           {palette, 1, {1, 2, 4, 8}},
                           {grey_alpha, 2, {8, 16}},
                           {rgba, 4, {8, 16}}})
    if (kind.colour_type == colour_type &&
        std::find(kind.depths.begin(), kind.depths.end(), depth) != kind.depths.end())
      return kind.samples * static_cast<int>(depth);
  fail(fmt::format("corrupt PNG: {} bits a sample in colour type {}", depth, colour_type));
}

PictureHeader inspect_png(std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t ihdr = 0x49484452, idat = 0x49444154, iend = 0x49454E44,
                          exif = 0x65584966;
  const Reader in(bytes, true);
  PictureHeader header{.format = PictureFormat::png};
  std::int64_t packed = 0, unpacked = 0;
  for (std::size_t at = 8;;) {
    if (!in.holds(at, 12)) fail("truncated: the PNG has no end chunk");
    const std::size_t length = in.u32(at);
    const std::uint32_t type = in.u32(at + 4);
    if (!in.holds(at + 12, length)) fail("truncated: a PNG chunk runs past the end of the file");
    if (crc32(bytes.subspan(at + 4, length + 4)) != in.u32(at + 8 + length))
      fail("corrupt PNG: the check sum of a chunk is wrong");
    if ((at == 8) != (type == ihdr)) fail("corrupt PNG: its header chunk is out of place");
    if (type == ihdr) {
      if (length != 13) fail("corrupt PNG: its header has the wrong length");
      set_size(header, in.u32(at + 8), in.u32(at + 12));
      const std::int64_t bits = png_bits_per_pixel(in.u8(at + 16), in.u8(at + 17));
      // Before each row stands a byte that says how it is filtered. Interlacing saves nothing.
      unpacked = (1 + (header.width * bits + 7) / 8) * header.height;
    }
    if (type == idat) packed += static_cast<std::int64_t>(length);
    if (type == exif) header.orientation = exif_orientation(bytes.subspan(at + 8, length));
    if (type == iend) break;
    at += length + 12;
  }
  constexpr std::int64_t deflate_limit = 1032;  // no stream grows by more
  check_capacity(header, packed, unpacked, deflate_limit);
  return header;
}

PictureHeader inspect_bmp(std::span<const std::uint8_t> bytes) {
  const Reader in(bytes, false);
  PictureHeader header{.format = PictureFormat::bmp};
  const bool old = in.u32(14) == 12;  // OS/2's header
  if (old)
    set_size(header, in.u16(18), in.u16(20));
  else
    set_size(header, static_cast<std::int32_t>(in.u32(18)),
             std::abs(std::int64_t{static_cast<std::int32_t>(in.u32(22))}));
  const std::uint32_t compression = old ? 0 : in.u32(30);
  if (compression != 0 && compression != 3) fail("a compressed BMP, which is not supported");
  const std::int64_t bits = in.u16(old ? 24 : 28);
  const std::int64_t row = (header.width * bits + 31) / 32 * 4;  // bytes
  if (bits == 0 || !in.holds(in.u32(10), static_cast<std::size_t>(row * header.height)))
    fail("truncated: the BMP data ends in the middle of the picture");
  return header;
}

bool starts_with(std::span<const std::uint8_t> bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

// ISO base media files: their kinds stand in a list of four letters each.
bool has_brand(std::span<const std::uint8_t> bytes,
               std::initializer_list<std::string_view> brands) {
  if (!starts_with(bytes, "ftyp", 4)) return false;
  const Reader in(bytes, true);
  const std::size_t end = std::min<std::size_t>(in.u32(0), bytes.size());
  for (std::size_t at = 8; at + 4 <= end; at += 4)
    for (const std::string_view brand : brands)
      if (at != 12 && starts_with(bytes, brand, at)) return true;  // at 12 stands a version
  return false;
}

[[noreturn]] void fail_unknown(std::span<const std::uint8_t> bytes) {
  struct Kind {
    std::string_view magic;
    std::size_t at;
    const char* name;
  };
  const char* kind = "not a picture";
  if (bytes.empty()) kind = "an empty file";
  for (const Kind& known : {Kind{"ftyp", 4, "a video file"},
                            {"JXL ", 4, "a JPEG XL picture"},
                            {"\xFF\x0A", 0, "a JPEG XL picture"},
                            {"jP  ", 4, "a JPEG 2000 picture"},
                            {"8BPS", 0, "a Photoshop file"},
                            {"%PDF", 0, "a PDF file"},
                            {"<svg", 0, "an SVG drawing"},
                            {"\x1A\x45\xDF\xA3", 0, "a video file"},
                            {"PK\x03\x04", 0, "a zip file"}})
    if (starts_with(bytes, known.magic, known.at)) kind = known.name;
  std::string readable = "JPEG, PNG, BMP";
  for (const OptionalFormat* format : {&kGif, &kTiff, &kWebp, &kHeif})
    if (format->built) readable += std::string(", ") + format->name;
  fail(fmt::format("{} ({} can be read)", kind, readable));
}

const OptionalFormat& library_of(PictureFormat format) {
  switch (format) {
    case PictureFormat::gif:
      return kGif;
    case PictureFormat::tiff:
      return kTiff;
    case PictureFormat::webp:
      return kWebp;
    default:
      return kHeif;
  }
}

PictureFormat require_built(PictureFormat format) {
  const OptionalFormat& library = library_of(format);
  if (!library.built)
    fail(
        fmt::format("a {} picture, which this build cannot read (its meson option {} was off, or "
                    "{} was missing)",
                    library.name, library.option, library.library));
  return format;
}

}  // namespace

std::int64_t max_picture_pixels() { return value_of(kMaxMegapixels) * kMillion; }

void check_picture_size(std::int64_t width, std::int64_t height) {
  if (width <= 0 || height <= 0) fail(fmt::format("its size {}x{} makes no sense", width, height));
  const std::int64_t most = max_picture_pixels();
  if (width > most || height > most / width)
    fail(fmt::format("its size {}x{} is {}", width, height, over(kMaxMegapixels)));
}

int exif_orientation(std::span<const std::uint8_t> tiff) {
  constexpr std::uint32_t orientation_tag = 0x0112, type_short = 3, type_long = 4;
  if (tiff.size() < 8) return 1;
  const bool big = tiff[0] == 'M' && tiff[1] == 'M';
  if (!big && !(tiff[0] == 'I' && tiff[1] == 'I')) return 1;
  const Reader in(tiff, big);
  const std::size_t directory = in.u32(4);
  if (in.u16(2) != 42 || !in.holds(directory, 2)) return 1;
  const std::size_t entries = in.u16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (!in.holds(entry, 12)) return 1;
    if (in.u16(entry) != orientation_tag) continue;
    const std::uint32_t type = in.u16(entry + 2);
    if (type != type_short && type != type_long) return 1;
    const std::uint32_t value = type == type_short ? in.u16(entry + 8) : in.u32(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

PictureFormat picture_format(std::span<const std::uint8_t> bytes) {
  if (starts_with(bytes, "\xFF\xD8")) return PictureFormat::jpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1A\n")) return PictureFormat::png;
  if (starts_with(bytes, "BM")) return PictureFormat::bmp;
  if (starts_with(bytes, "GIF8")) return require_built(PictureFormat::gif);
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8))
    return require_built(PictureFormat::webp);
  for (const char version : {'\x2A', '\x2B'})
    if (starts_with(bytes, std::string{'I', 'I', version, '\0'}) ||
        starts_with(bytes, std::string{'M', 'M', '\0', version}))
      return require_built(PictureFormat::tiff);
  if (has_brand(bytes,
                {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis"}))
    return require_built(PictureFormat::heif);
  fail_unknown(bytes);
}

PictureHeader inspect_picture(std::span<const std::uint8_t> bytes) {
  const PictureFormat format = picture_format(bytes);
  switch (format) {
    case PictureFormat::jpeg:
      return inspect_jpeg(bytes);
    case PictureFormat::png:
      return inspect_png(bytes);
    case PictureFormat::bmp:
      return inspect_bmp(bytes);
    default:
      return library_of(format).inspect(bytes);
  }
}

}  // namespace maskwatch::vision
