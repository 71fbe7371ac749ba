#include "nn/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace nn {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what + ": " + std::strerror(errno));
}

// Closes on every way out; the temporary file goes with it unless it was renamed.
struct TemporaryFile {
  std::string path;
  int descriptor = -1;
  bool renamed = false;
  ~TemporaryFile() {
    if (descriptor >= 0) close(descriptor);
    if (!renamed && !path.empty()) unlink(path.c_str());
  }
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::string read_file(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, "cannot open");
  TemporaryFile closer;
  closer.descriptor = descriptor;
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail(path, "cannot read");
  if (!S_ISREG(status.st_mode)) throw std::runtime_error(path + ": is not a regular file");
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = read(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  TemporaryFile file;
  std::string pattern = path + ".XXXXXX";
  file.descriptor = mkostemp(pattern.data(), O_CLOEXEC);
  if (file.descriptor < 0) fail(path, "cannot write in " + folder_of(path));
  file.path = pattern;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(file.descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot write");
    done += static_cast<std::size_t>(count);
  }
  // mkostemp gives 0600; a written file has the rights that the user's umask allows.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(file.descriptor, 0666 & ~mask) != 0 || fsync(file.descriptor) != 0)
    fail(path, "cannot write");
  if (rename(file.path.c_str(), path.c_str()) != 0) fail(path, "cannot write");
  file.renamed = true;
  // The rename itself lasts only once the folder is synced.
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
}

}  // namespace nn
