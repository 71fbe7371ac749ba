#include "vision/image/codec_tiff.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#if MASKWATCH_TIFF
#include <tiffio.h>
#endif

namespace maskwatch::vision {
#if MASKWATCH_TIFF
namespace {

struct Input {
  std::span<const std::uint8_t> bytes;
  std::uint64_t at = 0;
  std::string fault;  // the first that libtiff tells
};

Input& input_of(thandle_t handle) { return *static_cast<Input*>(handle); }

tmsize_t read(thandle_t handle, void* to, tmsize_t count) {
  Input& in = input_of(handle);
  if (count < 0 || in.at >= in.bytes.size()) return 0;
  const auto size =
      std::min(static_cast<std::size_t>(count), in.bytes.size() - static_cast<std::size_t>(in.at));
  std::memcpy(to, in.bytes.data() + in.at, size);
  in.at += size;
  return static_cast<tmsize_t>(size);
}

tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }

toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Input& in = input_of(handle);
  in.at = whence == SEEK_CUR   ? in.at + offset
          : whence == SEEK_END ? in.bytes.size() + offset
                               : offset;
  return in.at;
}

int close(thandle_t) { return 0; }
toff_t size(thandle_t handle) { return input_of(handle).bytes.size(); }

int note_fault(TIFF*, void* data, const char*, const char* format, va_list values) {
  char text[256];
  std::vsnprintf(text, sizeof text, format, values);
  if (std::string& fault = static_cast<Input*>(data)->fault; fault.empty()) fault = text;
  return 1;  // told
}

int pass_over(TIFF*, void*, const char*, const char*, va_list) { return 1; }

class File {
 public:
  // `most`: bytes that libtiff may take at once.
  File(std::span<const std::uint8_t> bytes, std::int64_t most) : input_{bytes, 0, {}} {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(
        TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), most);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), note_fault, &input_);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), pass_over, nullptr);
    file_.reset(TIFFClientOpenExt("", "rm", &input_, read, write, seek, close, size, nullptr,
                                  nullptr, options.get()));
    if (!file_) fail();
  }
  [[noreturn]] void fail() const {
    throw std::runtime_error("truncated or corrupt TIFF (" + input_.fault + ")");
  }
  template <typename Number>
  Number field(std::uint32_t tag) const {
    Number value{};
    if (TIFFGetFieldDefaulted(file_.get(), tag, &value) == 0) fail();
    return value;
  }
  TIFF* get() const { return file_.get(); }

 private:
  Input input_;
  std::unique_ptr<TIFF, decltype(&TIFFClose)> file_{nullptr, TIFFClose};
};

constexpr std::int64_t kMostForTags = 1 << 24;

PictureHeader inspect(std::span<const std::uint8_t> bytes) {
  const File file(bytes, kMostForTags);
  const auto width = file.field<std::uint32_t>(TIFFTAG_IMAGEWIDTH);
  const auto height = file.field<std::uint32_t>(TIFFTAG_IMAGELENGTH);
  check_picture_size(width, height);
  const auto samples = file.field<std::uint16_t>(TIFFTAG_SAMPLEFORMAT);
  if (samples != SAMPLEFORMAT_UINT && samples != SAMPLEFORMAT_VOID &&
      samples != SAMPLEFORMAT_IEEEFP)
    throw std::runtime_error(
        "a TIFF of a kind that is not supported (samples that are not unsigned)");
  char reason[1024] = "";
  if (TIFFRGBAImageOK(file.get(), reason) == 0)
    throw std::runtime_error(std::string("a TIFF of a kind that is not supported (") + reason +
                             ")");
  const int orientation = file.field<std::uint16_t>(TIFFTAG_ORIENTATION);
  return {PictureFormat::tiff, static_cast<int>(width), static_cast<int>(height),
          orientation >= 1 && orientation <= 8 ? orientation : 1};
}

codec::Decoded decode(std::span<const std::uint8_t> bytes, const PictureHeader& header) {
  // Strips of four samples of 16 bits.
  const File file(bytes, kMostForTags + std::int64_t{8} * header.width * header.height);
  // As stored: libtiff turns pictures by halves only, and we turn all alike.
  TIFFSetField(file.get(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  const std::size_t count = static_cast<std::size_t>(header.width) * header.height;
  std::vector<std::uint32_t> raster(count);
  if (TIFFReadRGBAImageOriented(file.get(), static_cast<std::uint32_t>(header.width),
                                static_cast<std::uint32_t>(header.height), raster.data(),
                                ORIENTATION_TOPLEFT, 1) == 0)
    file.fail();
  codec::Decoded out{header.width, header.height, 3, {}};
  out.pixels.resize(3 * count);
  for (std::size_t i = 0; i < count; ++i) {
    // Multiplied by alpha: over white, what is missing is white.
    const std::uint32_t pixel = raster[i], white = 255 - TIFFGetA(pixel);
    const std::uint32_t samples[] = {TIFFGetR(pixel), TIFFGetG(pixel), TIFFGetB(pixel)};
    for (std::size_t c = 0; c < 3; ++c)
      out.pixels[3 * i + c] = static_cast<std::uint8_t>(std::min(255u, samples[c] + white));
  }
  return out;
}

}  // namespace

const OptionalFormat kTiff{"TIFF", "tiff", "libtiff-dev", true, inspect, decode};
#else
const OptionalFormat kTiff{"TIFF", "tiff", "libtiff-dev", false, nullptr, nullptr};
#endif
}  // namespace maskwatch::vision
