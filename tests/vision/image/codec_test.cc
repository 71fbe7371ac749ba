#include "vision/image/codec.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/vision/image/image_support.h"
#include "tests/vision/image/small_pictures.h"
#include "tests/vision/support.h"

using namespace maskwatch;

using namespace image_support;
using namespace vision_test;
using vision::Image;
namespace small = small_pictures;

namespace {

// Makes every check sum of a PNG right again, so that damage reaches the decoder.
void mend_check_sums(std::vector<std::uint8_t>& png) {
  const auto u32 = [&](std::size_t at) {
    return std::size_t{png[at]} << 24 | png[at + 1] << 16 | png[at + 2] << 8 | png[at + 3];
  };
  for (std::size_t at = 8; at + 12 <= png.size() && u32(at) <= png.size() - at - 12;) {
    const std::size_t end = at + 8 + u32(at);
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::size_t i = at + 4; i < end; ++i) {
      crc ^= png[i];
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    for (std::size_t i = 0; i < 4; ++i)
      png[end + i] = static_cast<std::uint8_t>(~crc >> (24 - 8 * i));
    at = end + 4;
  }
}

rlim_t used_address_space() {
  std::ifstream file("/proc/self/statm");
  rlim_t pages = 0;
  file >> pages;
  return pages * static_cast<rlim_t>(getpagesize());
}

}  // namespace

TEST_CASE("a progressive JPEG is read") {
  const Image image = vision::decode_image(small::bytes(small::progressive_jpeg), "p");
  CHECK(image.width == 16);
  CHECK(std::abs(image.at(0, 0)[0] - 200) < 12);
  CHECK(std::abs(image.at(15, 7)[2] - 220) < 12);
}

TEST_CASE("damaged pictures never crash the decoder") {
  std::mt19937 random(7);
  std::vector<std::vector<std::uint8_t>> pictures = {small::bmp(5, 4, 24), small::bmp(9, 4, 4),
                                                     small::bmp(3, 3, 16)};
  for (auto& picture : pictures) picture.resize(picture.size() + 200);
  for (const char* digits : {small::grey16_png, small::rgba_png, small::palette_png,
                             small::jpeg_orientation_6, small::progressive_jpeg})
    pictures.push_back(small::bytes(digits));
  for (const auto& whole : pictures) {
    for (int round = 0; round < 3000; ++round) {
      std::vector<std::uint8_t> damaged = whole;
      for (int i = 0; i <= round % 4; ++i) damaged[random() % whole.size()] = random() & 255;
      if (whole[1] == 'P' && round % 2 == 0) mend_check_sums(damaged);
      try {
        const Image image = vision::decode_image(damaged, "p");
        REQUIRE(image.pixels.size() == std::size_t(image.width) * image.height * 3);
      } catch (const std::runtime_error& error) {
        REQUIRE(says(error.what(), "p: "));
      }
    }
  }
}

TEST_CASE("a Huffman code of too many symbols is refused") {
  std::vector<std::uint8_t> jpeg = small::bytes(small::jpeg_orientation_1);
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC4) jpeg[i + 18] = jpeg[i + 19] = 255;
  CHECK(says(error_of([&] { vision::decode_image(jpeg, "p"); }), "256 symbols"));
}

TEST_CASE("a BMP is read from bottom to top") {
  std::vector<std::uint8_t> bytes = small::bmp(1, 2, 24);
  for (int value : {3, 2, 1, 0, 6, 5, 4, 0}) bytes.push_back(static_cast<std::uint8_t>(value));
  CHECK(values(vision::decode_image(bytes, "p")) == std::vector<int>{4, 5, 6, 1, 2, 3});
}

TEST_CASE("a picture that the decoder refuses without a reason is corrupt, whatever came before") {
  // A compressed block of the type that does not exist; its fault has no text.
  std::vector<std::uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  const auto add_chunk = [&](const std::string& type, const std::vector<std::uint8_t>& data) {
    png.insert(png.end(), {0, 0, 0, static_cast<std::uint8_t>(data.size())});
    png.insert(png.end(), type.begin(), type.end());
    png.insert(png.end(), data.begin(), data.end());
    png.insert(png.end(), 4, 0);
  };
  add_chunk("IHDR", {0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0});
  add_chunk("IDAT", {0x78, 0x01, 0x07});
  add_chunk("IEND", {});
  mend_check_sums(png);
  const auto fault = [&] { return error_of([&] { vision::decode_image(png, "p"); }); };
  CHECK(fault() == "p: corrupt");
  std::vector<std::uint8_t> jpeg = small::bytes(small::jpeg_orientation_1);
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xDB) jpeg[i + 4] = 0x0F;
  CHECK(says(error_of([&] { vision::decode_image(jpeg, "p"); }), "p: corrupt ("));
  CHECK(fault() == "p: corrupt");
}

TEST_CASE("a picture is encoded whole or not at all where memory runs out") {
#if defined(__SANITIZE_ADDRESS__)
  MESSAGE("SKIPPED, NOT TESTED: AddressSanitizer ends a program that has no memory left");
  return;
#endif
  Image image(600, 600);
  std::mt19937 random(3);
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random());
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    rlimit limit{};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = used_address_space() + (16 << 20);
    setrlimit(RLIMIT_AS, &limit);
    int refused = 0;
    for (const int freed : {0, 1, 4, 16, 64, 128, 256, 512, 1000}) {
      struct Chunk {
        Chunk* next;
      }* held = nullptr;
      const auto give_back = [&] { std::free(std::exchange(held, held->next)); };
      while (void* memory = std::malloc(16 << 10)) held = new (memory) Chunk{held};
      for (int i = 0; i < freed && held != nullptr; ++i) give_back();
      try {
        vision::codec::encode_png(image);
      } catch (const std::bad_alloc&) {
        ++refused;
      } catch (...) {
        _exit(3);
      }
      while (held != nullptr) give_back();
    }
    _exit(refused > 0 ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
