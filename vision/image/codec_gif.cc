#include "vision/image/codec_gif.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#if MASKWATCH_GIF
#include <gif_lib.h>
#endif

namespace maskwatch::vision {
#if MASKWATCH_GIF
namespace {

constexpr std::int64_t kGrowth = 4096;  // pixels that one LZW code of a byte or more can stand for

[[noreturn]] void fail(int code) {
  const char* reason = GifErrorString(code);
  throw std::runtime_error(std::string("corrupt GIF (") + (reason != nullptr ? reason : "?") + ")");
}

struct Input {
  std::span<const std::uint8_t> bytes;
  std::size_t at = 0;
};

int read(GifFileType* file, GifByteType* to, int count) {
  Input& in = *static_cast<Input*>(file->UserData);
  const std::size_t size = std::min(static_cast<std::size_t>(count), in.bytes.size() - in.at);
  std::memcpy(to, in.bytes.data() + in.at, size);
  in.at += size;
  return static_cast<int>(size);
}

// A GIF as far as its first picture, whose pixels come next.
class FirstPicture {
 public:
  explicit FirstPicture(std::span<const std::uint8_t> bytes) : input_{bytes} {
    int code = 0;
    file_.reset(DGifOpen(&input_, read, &code));
    if (!file_) fail(code);
    while (true) {
      GifRecordType type = UNDEFINED_RECORD_TYPE;
      require(DGifGetRecordType(file_.get(), &type));
      if (type == IMAGE_DESC_RECORD_TYPE) break;
      if (type == TERMINATE_RECORD_TYPE) throw std::runtime_error("corrupt GIF: it has no picture");
      if (type == EXTENSION_RECORD_TYPE) read_extension();
    }
    require(DGifGetImageDesc(file_.get()));
  }

  void require(int status) const {
    if (status != GIF_OK) fail(file_->Error);
  }
  // What is drawn on, which the picture may leave or not fill.
  std::int64_t width() const {
    return std::max<std::int64_t>(file_->SWidth, place().Left + std::int64_t{place().Width});
  }
  std::int64_t height() const {
    return std::max<std::int64_t>(file_->SHeight, place().Top + std::int64_t{place().Height});
  }
  const GifImageDesc& place() const { return file_->Image; }
  int transparent() const { return transparent_; }
  const ColorMapObject* colors() const {
    return place().ColorMap != nullptr ? place().ColorMap : file_->SColorMap;
  }
  void read_line(std::uint8_t* to) { require(DGifGetLine(file_.get(), to, place().Width)); }

 private:
  struct Close {
    void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
  };

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    require(DGifGetExtension(file_.get(), &code, &block));
    while (block != nullptr) {
      GraphicsControlBlock control{};
      if (code == GRAPHICS_EXT_FUNC_CODE &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
        transparent_ = control.TransparentColor;
      require(DGifGetExtensionNext(file_.get(), &block));
    }
  }

  Input input_;
  std::unique_ptr<GifFileType, Close> file_;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

PictureHeader inspect(std::span<const std::uint8_t> bytes) {
  const FirstPicture picture(bytes);
  check_picture_size(picture.width(), picture.height());
  check_picture_size(picture.place().Width, picture.place().Height);
  const auto size = static_cast<std::int64_t>(bytes.size());
  if (picture.width() * picture.height() > size * kGrowth)
    throw std::runtime_error("truncated: so few bytes cannot hold the pixels of the GIF");
  return {PictureFormat::gif, static_cast<int>(picture.width()),
          static_cast<int>(picture.height())};
}

// The rows of an interlaced picture come in four passes.
std::vector<int> row_order(const GifImageDesc& place) {
  std::vector<int> rows;
  struct Pass {
    int first, step;
  };
  for (const auto& [first, step] : place.Interlace
                                       ? std::vector<Pass>{{0, 8}, {4, 8}, {2, 4}, {1, 2}}
                                       : std::vector<Pass>{{0, 1}})
    for (int row = first; row < place.Height; row += step) rows.push_back(row);
  return rows;
}

codec::Decoded decode(std::span<const std::uint8_t> bytes, const PictureHeader& header) {
  FirstPicture picture(bytes);
  const GifImageDesc& place = picture.place();
  const ColorMapObject* colors = picture.colors();
  if (colors == nullptr) throw std::runtime_error("corrupt GIF: it has no colours");
  codec::Decoded out{header.width, header.height, 4, {}};
  out.pixels.resize(std::size_t{4} * header.width * header.height);
  std::vector<std::uint8_t> line(static_cast<std::size_t>(place.Width));
  for (const int row : row_order(place)) {
    picture.read_line(line.data());
    std::uint8_t* to =
        &out.pixels[4 * (static_cast<std::size_t>(place.Top + row) * header.width + place.Left)];
    for (const int index : line) {
      if (index >= colors->ColorCount) throw std::runtime_error("corrupt GIF: a colour is missing");
      const GifColorType& color = colors->Colors[index];
      const std::uint8_t alpha = index == picture.transparent() ? 0 : 255;
      for (const std::uint8_t sample : {color.Red, color.Green, color.Blue, alpha}) *to++ = sample;
    }
  }
  return out;
}

}  // namespace

const OptionalFormat kGif{"GIF", "gif", "libgif-dev", true, inspect, decode};
#else
const OptionalFormat kGif{"GIF", "gif", "libgif-dev", false, nullptr, nullptr};
#endif
}  // namespace maskwatch::vision
