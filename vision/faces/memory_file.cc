#include "vision/faces/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace maskwatch::vision {
namespace {

class MemoryFile {
 public:
  explicit MemoryFile(const std::string& name)
      : descriptor_(memfd_create("maskwatch", MFD_CLOEXEC)) {
    if (descriptor_ < 0)
      throw std::runtime_error(name + ": no memory for it: " + std::strerror(errno));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void write(std::span<const std::uint8_t> bytes, const std::string& name) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0)
        throw std::runtime_error(name + ": no memory for it: " + std::strerror(errno));
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

std::string with_name(std::string message, const std::string& path, const std::string& name) {
  for (std::size_t at = 0; (at = message.find(path, at)) != std::string::npos; at += name.size())
    message.replace(at, path.size(), name);
  return message;
}

}  // namespace

void read_as_file(std::span<const std::uint8_t> bytes, const std::string& name,
                  const std::function<void(const std::string& path)>& read) {
  MemoryFile file(name);
  file.write(bytes, name);
  try {
    read(file.path());
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(with_name(fault.what(), file.path(), name));
  }
}

}  // namespace maskwatch::vision
