#include "vision/video/output_file.h"

extern "C" {
#include <libavutil/mem.h>
}

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "base/file.h"

namespace maskwatch::vision {
namespace {

constexpr int kBuffer = 1 << 16;

bool is_regular(int descriptor) {
  struct stat found {};
  return fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode);
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_write_fault(path + ": cannot be written", errno);
  auto* const buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
  if (buffer != nullptr)
    io_ =
        avio_alloc_context(buffer, kBuffer, 1, this, nullptr, OutputFile::write, OutputFile::seek);
  if (io_ == nullptr) {
    av_free(buffer);
    ::close(descriptor_);
    throw std::bad_alloc();
  }
}

OutputFile::~OutputFile() {
  close();
  av_freep(&io_->buffer);
  avio_context_free(&io_);
}

int OutputFile::write(void* self, std::uint8_t* bytes, int count) {
  OutputFile& file = *static_cast<OutputFile*>(self);
  if (file.error_ != 0) return AVERROR(file.error_);
  for (int done = 0; done < count;) {
    const ssize_t written = ::write(file.descriptor_, bytes + done, count - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      file.error_ = written < 0 ? errno : EIO;
      return AVERROR(file.error_);
    }
    done += static_cast<int>(written);
  }
  return count;
}

std::int64_t OutputFile::seek(void* self, std::int64_t offset, int whence) {
  const int descriptor = static_cast<OutputFile*>(self)->descriptor_;
  if (whence == AVSEEK_SIZE) {
    struct stat found {};
    return fstat(descriptor, &found) == 0 ? found.st_size : AVERROR(errno);
  }
  const off_t position = lseek(descriptor, offset, whence & ~AVSEEK_FORCE);
  return position < 0 ? AVERROR(errno) : position;
}

void OutputFile::mark_whole() {
  avio_flush(io_);
  if (error_ == 0) whole_ = lseek(descriptor_, 0, SEEK_CUR);
}

void OutputFile::abandon() {
  if (descriptor_ < 0) return;
  if (is_regular(descriptor_)) {
    if (whole_ <= 0)
      unlink(path_.c_str());
    else if (ftruncate(descriptor_, whole_) != 0 && error_ == 0)
      error_ = errno;
  }
  close();
}

void OutputFile::close() {
  if (descriptor_ < 0) return;
  if (::close(descriptor_) != 0 && error_ == 0) error_ = errno;
  descriptor_ = -1;
}

}  // namespace maskwatch::vision
