#include "apps/training/detection_pictures.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <exception>
#include <mutex>
#include <stdexcept>

#include "apps/common/share.h"
#include "base/parallel.h"
#include "base/random.h"
#include "vision/image/resize.h"

namespace maskwatch::apps {
namespace {

using vision::Image;

std::size_t half_of_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return std::size_t{1} << 30;
  return static_cast<std::size_t>(pages) / 2 * static_cast<std::size_t>(page);
}

double scale_for(const BoxPicture& picture, int longest_side) {
  return std::min(1.0,
                  static_cast<double>(longest_side) / std::max({picture.width, picture.height, 1}));
}

int scaled(int side, double scale) {
  return std::max(1, static_cast<int>(std::lround(side * scale)));
}

void check_memory(const BoxDataset& data, const DetectionPicturesOptions& options) {
  const std::size_t limit = options.memory_limit > 0 ? options.memory_limit : half_of_memory();
  double needed = 0;
  for (const BoxPicture& picture : data.pictures) {
    const double scale = scale_for(picture, options.longest_side);
    needed += 3.0 * picture.width * scale * picture.height * scale;
  }
  if (needed <= static_cast<double>(limit)) return;
  throw std::runtime_error(
      fmt::format("{} pictures with sides up to {} need {:.1f} GB of memory, more than "
                  "{:.1f} GB (choose a smaller side or fewer pictures)",
                  data.pictures.size(), options.longest_side, 1e-9 * needed,
                  1e-9 * static_cast<double>(limit)));
}

// Decodes a picture and moves its boxes along.
Image load_one(BoxPicture& picture, int longest_side) {
  Image image = vision::load_image(picture.path);
  const double scale = scale_for(picture, longest_side);
  if (scale < 1)
    image = vision::resize(image, scaled(image.width, scale), scaled(image.height, scale));
  const float x = static_cast<float>(image.width) / static_cast<float>(picture.width);
  const float y = static_cast<float>(image.height) / static_cast<float>(picture.height);
  for (FaceBox& face : picture.faces)
    face.box = {face.box.x * x, face.box.y * y, face.box.width * x, face.box.height * y};
  picture.width = image.width;
  picture.height = image.height;
  return image;
}

// All that decode() makes of one picture.
std::string message_of(const DetectionPictures& loaded, const std::vector<std::string>& faults,
                       std::size_t index) {
  const BoxPicture& picture = loaded.data.pictures[index];
  const Image& image = loaded.images[index];
  MessageWriter message;
  message.put_text(faults[index]);
  message.put(picture.width);
  message.put(picture.height);
  message.put(image.channels);
  message.put(loaded.hashes[index]);
  message.put(loaded.mirrored[index]);
  for (const FaceBox& face : picture.faces) message.put(face.box);
  message.put_text({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
  return message.bytes();
}

void read_message(const std::string& message, DetectionPictures& loaded,
                  std::vector<std::string>& faults, std::size_t index) {
  BoxPicture& picture = loaded.data.pictures[index];
  Image& image = loaded.images[index];
  MessageReader reader(message);
  faults[index] = reader.get_text();
  image.width = picture.width = reader.get<int>();
  image.height = picture.height = reader.get<int>();
  image.channels = reader.get<int>();
  loaded.hashes[index] = reader.get<PictureHash>();
  loaded.mirrored[index] = reader.get<PictureHash>();
  for (FaceBox& face : picture.faces) face.box = reader.get<vision::Box>();
  const std::string pixels = reader.get_text();
  image.pixels.assign(pixels.begin(), pixels.end());
}

// What the ranks decoded, picture i rank i % ranks, as share_out() has it.
void exchange(kernels::Communicator& communicator, DetectionPictures& loaded,
              std::vector<std::string>& faults) {
  constexpr std::size_t kPicturesARank = 64;  // at a time
  const std::size_t round = kPicturesARank * static_cast<std::size_t>(communicator.ranks());
  for (std::size_t begin = 0; begin < faults.size(); begin += round) {
    const auto messages =
        share_out(communicator, std::min(round, faults.size() - begin),
                  [&](std::size_t i) { return message_of(loaded, faults, begin + i); });
    for (std::size_t i = 0; i < messages.size(); ++i)
      read_message(messages[i], loaded, faults, begin + i);
  }
}

template <typename T>
void keep_only(std::vector<T>& values, const std::vector<std::string>& faults) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < faults.size(); ++i)
    if (faults[i].empty()) {
      if (kept != i) values[kept] = std::move(values[i]);
      ++kept;
    }
  values.resize(kept);
}

}  // namespace

int PictureHash::distance(const PictureHash& other) const {
  return std::popcount(right ^ other.right) + std::popcount(down ^ other.down);
}

PictureHash picture_hash(const Image& image) {
  constexpr int kGrid = 8;
  const Image small = vision::resize(vision::to_grey(image), kGrid + 1, kGrid + 1);
  PictureHash hash;
  for (int y = 0; y < kGrid; ++y)
    for (int x = 0; x < kGrid; ++x) {
      const std::uint64_t bit = std::uint64_t{1} << (y * kGrid + x);
      if (*small.at(x + 1, y) > *small.at(x, y)) hash.right |= bit;
      if (*small.at(x, y + 1) > *small.at(x, y)) hash.down |= bit;
    }
  return hash;
}

DetectionPictures load_detection_pictures(BoxDataset data,
                                          const DetectionPicturesOptions& options) {
  if (options.longest_side < 32)
    throw std::invalid_argument(
        fmt::format("load_detection_pictures: longest side {} < 32", options.longest_side));
  check_memory(data, options);
  DetectionPictures loaded;
  loaded.data = std::move(data);
  auto& pictures = loaded.data.pictures;
  loaded.images.resize(pictures.size());
  loaded.hashes.resize(pictures.size());
  loaded.mirrored.resize(pictures.size());
  std::vector<std::string> faults(pictures.size());
  std::mutex mutex;
  std::int64_t done = 0;
  const auto decode = [&](std::size_t index) {
    try {
      loaded.images[index] = load_one(pictures[index], options.longest_side);
      loaded.hashes[index] = picture_hash(loaded.images[index]);
      loaded.mirrored[index] = picture_hash(vision::flip_horizontally(loaded.images[index]));
    } catch (const std::exception& error) {
      faults[index] = error.what();
    }
    const std::lock_guard lock(mutex);
    ++done;
    if (options.progress) options.progress(done);
  };
  kernels::OneProcess alone;
  kernels::Communicator& communicator = options.communicator ? *options.communicator : alone;
  const auto ranks = static_cast<std::size_t>(communicator.ranks());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  parallel_for(static_cast<std::int64_t>((pictures.size() + ranks - 1 - rank) / ranks),
               [&](std::int64_t i) { decode(static_cast<std::size_t>(i) * ranks + rank); });
  if (ranks > 1) exchange(communicator, loaded, faults);
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (!faults[i].empty()) loaded.broken.push_back({pictures[i].path, faults[i]});
  keep_only(pictures, faults);
  keep_only(loaded.images, faults);
  keep_only(loaded.hashes, faults);
  keep_only(loaded.mirrored, faults);
  if (pictures.empty())
    throw std::runtime_error("no picture can be decoded: " + loaded.broken.front().reason);
  return loaded;
}

std::uint64_t fingerprint(const DetectionPictures& pictures) {
  std::uint64_t hash = 0;
  const auto add = [&](std::uint64_t value) { hash = mix_bits(hash + value); };
  const auto add_float = [&](float value) { add(std::bit_cast<std::uint32_t>(value)); };
  for (std::size_t i = 0; i < pictures.images.size(); ++i) {
    const BoxPicture& picture = pictures.data.pictures[i];
    for (const char c : picture.name) add(static_cast<unsigned char>(c));
    for (const char c : picture.source) add(static_cast<unsigned char>(c));
    add(static_cast<std::uint64_t>(picture.width));
    add(static_cast<std::uint64_t>(picture.height));
    add(pictures.hashes[i].right);
    add(pictures.hashes[i].down);
    for (const FaceBox& face : picture.faces) {
      for (const float value : {face.box.x, face.box.y, face.box.width, face.box.height})
        add_float(value);
      add(static_cast<std::uint64_t>(face.label + 2) * 2 + (face.ignored ? 1 : 0));
    }
  }
  return hash;
}

}  // namespace maskwatch::apps
