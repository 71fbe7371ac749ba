#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace maskwatch {
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
  std::string bytes;
  try {
    bytes.resize(static_cast<std::size_t>(status.st_size));
  } catch (const std::exception&) {  // length_error or bad_alloc
    throw std::runtime_error(path + ": does not fit in memory");
  }
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

namespace {

void write_all(int descriptor, const std::string& path, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot write");
    done += static_cast<std::size_t>(count);
  }
}

// A device or a pipe cannot be replaced (and must not be: /dev/null would be gone).
void write_into_device(const std::string& path, std::string_view bytes) {
  TemporaryFile file;
  file.descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file.descriptor < 0) fail(path, "cannot write");
  write_all(file.descriptor, path, bytes);
}

// A fresh file beside `path`, with the rights that the user's umask allows.
void open_beside(TemporaryFile& file, const std::string& path) {
  constexpr int attempts = 100;  // what killed programs left behind may bear our number
  for (int i = 0; i < attempts && file.descriptor < 0; ++i) {
    const std::string name =
        path + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp";
    file.descriptor = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.descriptor >= 0)
      file.path = name;
    else if (errno != EEXIST)
      break;
  }
  if (file.descriptor < 0) fail(path, "cannot write in " + folder_of(path));
}

// A link stays a link: what it points to is replaced.
std::string target_of(const std::string& path) {
  std::error_code none;
  if (!std::filesystem::is_symlink(path, none)) return path;
  const std::filesystem::path target = std::filesystem::canonical(path, none);
  return none ? path : target.string();
}

}  // namespace

void write_file_atomically(const std::string& given_path, std::string_view bytes) {
  const std::string path = target_of(given_path);
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) throw std::runtime_error(path + ": cannot write: is a folder");
    if (!S_ISREG(status.st_mode)) return write_into_device(path, bytes);
  }
  TemporaryFile file;
  open_beside(file, path);
  write_all(file.descriptor, path, bytes);
  if (fsync(file.descriptor) != 0) fail(path, "cannot write");
  if (rename(file.path.c_str(), path.c_str()) != 0) fail(path, "cannot write");
  file.renamed = true;
  // The rename itself lasts only once the folder is synced.
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
}

}  // namespace maskwatch
