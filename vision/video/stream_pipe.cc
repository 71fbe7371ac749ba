#include "vision/video/stream_pipe.h"

extern "C" {
#include <libavutil/mem.h>
}

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

namespace maskwatch::vision {
namespace {

constexpr int kBuffer = 1 << 15;  // bytes
constexpr int kLook = 20;         // ms

}  // namespace

StreamPipe::StreamPipe(const std::string& path, std::shared_ptr<ffmpeg::Watch> watch,
                       double timeout)
    : watch_(std::move(watch)), timeout_(timeout) {
  auto* const buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
  if (buffer == nullptr) throw std::bad_alloc();
  const auto reads = [](void* pipe, std::uint8_t* bytes, int size) {
    return static_cast<StreamPipe*>(pipe)->read(bytes, size);
  };
  io_ = avio_alloc_context(buffer, kBuffer, 0, this, reads, nullptr, nullptr);
  if (io_ == nullptr) {
    av_free(buffer);
    throw std::bad_alloc();
  }
  descriptor_ = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor_ < 0) error_ = AVERROR(errno);
}

StreamPipe::~StreamPipe() {
  if (descriptor_ >= 0) close(descriptor_);
  av_freep(&io_->buffer);  // FFmpeg may have replaced it
  avio_context_free(&io_);
}

// A pipe has ended once its writers have gone; poll does not tell that none has come yet.
int StreamPipe::read(std::uint8_t* bytes, int size) {
  while (!watch_->interrupted() && !watch_->expired()) {
    pollfd state{descriptor_, POLLIN, 0};
    if (poll(&state, 1, kLook) < 0 && errno != EINTR) return AVERROR(errno);
    if (state.revents == 0) continue;
    const ssize_t got = ::read(descriptor_, bytes, static_cast<std::size_t>(size));
    if (got > 0) {
      watch_->allow(timeout_);
      return static_cast<int>(got);
    }
    if (got == 0) return AVERROR_EOF;
    if (errno != EAGAIN && errno != EINTR) return AVERROR(errno);
  }
  return AVERROR_EXIT;
}

}  // namespace maskwatch::vision
