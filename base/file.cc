#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace maskwatch {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what + ": " + std::strerror(errno));
}

struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
  const int number;
};

// Goes at the end of the scope unless it was renamed.
struct TemporaryFile {
  std::string path;
  bool renamed = false;
  ~TemporaryFile() {
    if (!renamed && !path.empty()) unlink(path.c_str());
  }
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

constexpr std::size_t kMostFromPipe = std::size_t{1} << 30;

bool is_pipe(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

// Of a pipe that the process was started with, its number: "/dev/stdin" in "curl ... | program", or
// "/dev/fd/63" that a shell writes for "<(curl ...)". -1 for all else.
int inherited_pipe(const std::string& path) {
  int number = -1;
  if (path == "/dev/stdin") number = STDIN_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"})
    if (path.starts_with(folder)) {
      const char* end = path.data() + path.size();
      const auto [stop, fault] = std::from_chars(path.data() + folder.size(), end, number);
      if (fault != std::errc() || stop != end) number = -1;
    }
  return number >= 0 && is_pipe(number) ? number : -1;
}

// Opening such a pipe by its name would wait for a second writer.
int open_to_read(const std::string& path) {
  if (const int pipe = inherited_pipe(path); pipe >= 0) return fcntl(pipe, F_DUPFD_CLOEXEC, 0);
  // Without O_NONBLOCK, opening a named pipe waits for its writer.
  return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

void wait_for_bytes(int descriptor) {
  pollfd pipe{descriptor, POLLIN, 0};
  poll(&pipe, 1, -1);
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file(open_to_read(path));
  if (file.number < 0) fail(path, "cannot open");
  struct stat status {};
  if (fstat(file.number, &status) != 0) fail(path, "cannot read");
  const bool piped = inherited_pipe(path) >= 0;
  if (!S_ISREG(status.st_mode) && !piped)
    throw std::runtime_error(path + ": is not a regular file");
  std::string bytes;
  std::size_t done = 0;
  // The size is a hint alone: files of /proc say 0, and another program may be writing. With room
  // for one byte more, the end of the file shows without growing.
  std::size_t room = static_cast<std::size_t>(status.st_size) + 1;
  while (true) {
    try {
      bytes.resize(room);
    } catch (const std::exception&) {  // length_error or bad_alloc
      throw std::runtime_error(path + ": does not fit in memory");
    }
    const ssize_t count = read(file.number, bytes.data() + done, room - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN && piped) {
      wait_for_bytes(file.number);
      continue;
    }
    if (count < 0) fail(path, "cannot read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
    if (piped && done > kMostFromPipe)
      throw std::runtime_error(path + ": more than 1 GiB came through the pipe");
    if (done == room) room += room / 2 + 4096;
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
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.number < 0) fail(path, "cannot write");
  write_all(file.number, path, bytes);
}

// The process's standard output or error if that is this very file ("> out.txt", /dev/stdout), or
// -1. Renaming would take the file from under whatever else the process prints.
int standard_stream_of(const struct stat& file) {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat status {};
    if (fstat(stream, &status) == 0 && status.st_dev == file.st_dev && status.st_ino == file.st_ino)
      return stream;
  }
  return -1;
}

// Opens a fresh file beside `path`, with those of the rights `mode` that the user's umask allows.
int open_beside(TemporaryFile& temporary, const std::string& path, mode_t mode) {
  constexpr int attempts = 100;  // what killed programs left behind may bear our number
  constexpr std::size_t most = NAME_MAX - 32;
  const std::size_t folder_length = path.rfind('/') + 1;  // 0 without a slash
  const std::string stem = path.substr(0, folder_length + most);
  if (path.size() - folder_length > NAME_MAX) {
    errno = ENAMETOOLONG;
    fail(path, "cannot write");
  }
  for (int i = 0; i < attempts; ++i) {
    const std::string name =
        stem + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp";
    const int descriptor = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor >= 0) {
      temporary.path = name;
      return descriptor;
    }
    if (errno != EEXIST) break;
  }
  fail(path, "cannot write in " + folder_of(path));
}

// Where a file that is missing is made: at the end of the links, so that they stay links.
std::string target_of_missing(const std::string& given_path) {
  constexpr int most_links = 40;  // as Linux
  std::filesystem::path path = given_path;
  std::error_code fault;
  for (int i = 0; std::filesystem::is_symlink(path, fault); ++i) {
    if (i == most_links) {
      errno = ELOOP;
      fail(given_path, "cannot write");
    }
    const std::filesystem::path target = std::filesystem::read_symlink(path, fault);
    if (fault) break;
    path = path.parent_path() / target;  // target alone if it is absolute
  }
  return path.string();
}

// Makes the renaming last when the machine stops.
void sync_folder(const std::string& path) {
  const Descriptor folder(open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.number < 0) return;  // a folder that may be written in but not read
  if (fsync(folder.number) != 0 && errno != EINVAL) fail(path, "cannot write");  // EINVAL: cannot
}

void write_beside_and_rename(const std::string& path, std::string_view bytes, mode_t mode,
                             bool exact_mode) {
  TemporaryFile temporary;
  const Descriptor file(open_beside(temporary, path, mode));
  if (exact_mode && fchmod(file.number, mode) != 0) fail(path, "cannot write");
  write_all(file.number, path, bytes);
  if (fsync(file.number) != 0) fail(path, "cannot write");
  if (rename(temporary.path.c_str(), path.c_str()) != 0) fail(path, "cannot write");
  temporary.renamed = true;
}

}  // namespace

void write_file_atomically(const std::string& given_path, std::string_view bytes) {
  struct stat status {};
  const bool replaces = stat(given_path.c_str(), &status) == 0;
  if (replaces && S_ISDIR(status.st_mode))
    throw std::runtime_error(given_path + ": cannot write: is a folder");
  if (replaces && !S_ISREG(status.st_mode)) return write_into_device(given_path, bytes);
  if (const int stream = replaces ? standard_stream_of(status) : -1; stream >= 0)
    return write_all(stream, given_path, bytes);
  // Renaming would replace a file that is write-protected without a word.
  if (replaces && faccessat(AT_FDCWD, given_path.c_str(), W_OK, AT_EACCESS) != 0)
    fail(given_path, "cannot write");
  const std::string path =
      replaces ? std::filesystem::canonical(given_path).string() : target_of_missing(given_path);
  write_beside_and_rename(path, bytes, replaces ? status.st_mode & 0777 : 0666, replaces);
  sync_folder(path);
}

}  // namespace maskwatch
