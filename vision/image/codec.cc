#include "vision/image/codec.h"

#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <unordered_set>

namespace {

thread_local std::size_t allocation_limit = 0;

// Zeroed: stb_image reads tables that a hostile JPEG uses without defining them.
// Whether the machine had less memory than the limit allows.
thread_local bool out_of_memory = false;

void* bounded_realloc(void* old, std::size_t size) {
  if (size > allocation_limit) return nullptr;
  void* const block = old == nullptr ? std::calloc(1, size) : std::realloc(old, size);
  out_of_memory |= block == nullptr;
  return block;
}

// Blocks of the encoder at work on this thread. It goes on without looking where one is missing, so
// that must throw; what it holds by then is freed here.
thread_local std::unordered_set<void*>* encoder_blocks = nullptr;

struct EncoderBlocks {
  EncoderBlocks() { encoder_blocks = &blocks; }
  ~EncoderBlocks() {
    encoder_blocks = nullptr;
    for (void* block : blocks) std::free(block);
  }
  EncoderBlocks(const EncoderBlocks&) = delete;
  std::unordered_set<void*> blocks;
};

void* encoder_realloc(void* old, std::size_t size) {
  encoder_blocks->erase(old);
  void* const block = std::realloc(old, size);
  if (block == nullptr) {
    std::free(old);
    throw std::bad_alloc();
  }
  try {
    encoder_blocks->insert(block);
  } catch (...) {
    std::free(block);
    throw;
  }
  return block;
}

void encoder_free(void* block) {
  encoder_blocks->erase(block);
  std::free(block);
}

}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define STBI_MALLOC(size) bounded_realloc(nullptr, size)
#define STBI_REALLOC(old, size) bounded_realloc(old, size)
#define STBI_FREE(old) std::free(old)
#define STBI_ASSERT(condition) (static_cast<void>(0))
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
#define STBIW_MALLOC(size) encoder_realloc(nullptr, size)
#define STBIW_REALLOC(old, size) encoder_realloc(old, size)
#define STBIW_FREE(old) encoder_free(old)
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace maskwatch::vision::codec {
namespace {

void append(void* context, void* data, int size) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(data), size);
}

}  // namespace

Decoded decode(std::span<const std::uint8_t> bytes, std::size_t memory_limit) {
  if (bytes.size() > INT_MAX) throw std::runtime_error("larger than 2 GiB");
  allocation_limit = memory_limit;
  out_of_memory = false;
  stbi__g_failure_reason = nullptr;  // of an earlier picture; some faults set none
  Decoded out;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &out.width, &out.height,
                            &out.channels, 0),
      stbi_image_free);
  if (!pixels) {
    if (out_of_memory) throw std::bad_alloc();
    const char* const reason = stbi_failure_reason();
    throw std::runtime_error(reason == nullptr ? "corrupt"
                                               : std::string("corrupt (") + reason + ")");
  }
  const std::size_t size = static_cast<std::size_t>(out.width) * out.height * out.channels;
  out.pixels.assign(pixels.get(), pixels.get() + size);
  return out;
}

std::string encode_png(const Image& image) {
  const EncoderBlocks blocks;
  std::string out;
  if (!stbi_write_png_to_func(append, &out, image.width, image.height, image.channels,
                              image.pixels.data(), image.width * image.channels))
    throw std::runtime_error("cannot be encoded as PNG");
  return out;
}

std::string encode_jpeg(const Image& image, int quality) {
  const EncoderBlocks blocks;
  std::string out;
  if (!stbi_write_jpg_to_func(append, &out, image.width, image.height, image.channels,
                              image.pixels.data(), quality))
    throw std::runtime_error("cannot be encoded as JPEG");
  return out;
}

}  // namespace maskwatch::vision::codec
