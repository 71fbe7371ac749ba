#include "base/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "base/resource_limits.h"

namespace maskwatch {
namespace {

[[noreturn]] void fail_to_read(const std::string& path, const std::string& what) {
  throw std::runtime_error(path + ": " + what + ": " + std::strerror(errno));
}

[[noreturn]] void fail_to_write(const std::string& path, const std::string& where = "") {
  const int fault = errno;
  throw_write_fault(path + ": cannot write" + where, fault);
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

// How many bytes were read: fewer than `room` only at the end.
std::size_t read_up_to(int descriptor, const std::string& path, char* bytes, std::size_t room) {
  std::size_t done = 0;
  while (done < room) {
    const ssize_t count = read(descriptor, bytes + done, room - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {  // of a pipe that another process made so
      wait_for_bytes(descriptor);
      continue;
    }
    if (count < 0) fail_to_read(path, "cannot read");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

}  // namespace

void throw_write_fault(const std::string& what, int error) {
  const std::string message = what + ": " + std::strerror(error);
  for (const int place : {ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP, EACCES, EPERM, EROFS})
    if (error == place) throw std::runtime_error(message);
  throw WriteError(message);
}

std::string read_file(const std::string& path, const FileCheck& check) {
  constexpr std::size_t first = 4096;
  const Descriptor file(open_to_read(path));
  if (file.number < 0) fail_to_read(path, "cannot open");
  struct stat status {};
  if (fstat(file.number, &status) != 0) fail_to_read(path, "cannot read");
  const bool piped = inherited_pipe(path) >= 0;
  if (!S_ISREG(status.st_mode) && !piped)
    throw std::runtime_error(path + ": is not a regular file");
  // The size is a hint alone: files of /proc say 0, and another program may be writing. With room
  // for one byte more, the end of the file shows without growing.
  const auto size = static_cast<std::size_t>(status.st_size);
  const auto most = static_cast<std::size_t>(value_of(kMaxFile)) << 20;
  std::string bytes;
  std::size_t done = 0;
  // False at the end of the file.
  const auto read_until = [&](std::size_t room) {
    try {
      bytes.resize(room);
    } catch (const std::exception&) {  // length_error or bad_alloc
      throw std::runtime_error(path + ": does not fit in memory");
    }
    done += read_up_to(file.number, path, bytes.data() + done, room - done);
    if (done > most) throw std::runtime_error(path + ": is " + over(kMaxFile));
    return done == room;
  };
  bool more = read_until(piped ? first : std::min(size + 1, first));
  if (check) check({bytes.data(), done}, std::max(size, done));
  if (size > most) throw std::runtime_error(path + ": is " + over(kMaxFile));
  if (more && done <= size) more = read_until(size + 1);
  while (more) more = read_until(done + done / 2 + 4096);
  bytes.resize(done);
  return bytes;
}

namespace {

void write_all(int descriptor, const std::string& path, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = write(descriptor, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {  // a terminal or pipe that somebody made non-blocking
      pollfd room{descriptor, POLLOUT, 0};
      poll(&room, 1, -1);
      continue;
    }
    if (count < 0) fail_to_write(path);
    done += static_cast<std::size_t>(count);
  }
}

// A device or a pipe cannot be replaced (and must not be: /dev/null would be gone).
void write_into_device(const std::string& path, std::string_view bytes) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file.number < 0) fail_to_write(path);
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

// Room for what is added to a file's name.
std::string short_stem(const std::string& path) {
  constexpr std::size_t most = NAME_MAX - 32;
  return path.substr(0, path.rfind('/') + 1 + most);  // npos + 1 is 0
}

// Opens a fresh file beside `path` that has a name of its own.
int open_named(TemporaryFile& temporary, const std::string& path, mode_t mode) {
  constexpr int attempts = 100;  // what killed programs left behind may bear our number
  for (int i = 0; i < attempts; ++i) {
    const std::string name =
        short_stem(path) + "." + std::to_string(getpid()) + "-" + std::to_string(i) + ".tmp";
    const int descriptor = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (descriptor >= 0) {
      temporary.path = name;
      return descriptor;
    }
    if (errno != EEXIST) break;
  }
  fail_to_write(path, " in " + folder_of(path));
}

// Opens a fresh file in the folder of `path`, with those of the rights `mode` that the user's umask
// allows: without a name, or with one where the file system does not know that or there is no
// /proc, through which it would get one.
int open_beside(TemporaryFile& temporary, const std::string& path, mode_t mode) {
  if (path.size() - (path.rfind('/') + 1) > NAME_MAX) {
    errno = ENAMETOOLONG;
    fail_to_write(path);
  }
  const bool can_be_named = access("/proc/self/fd", F_OK) == 0;
  const int nameless =
      can_be_named ? open(folder_of(path).c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, mode) : -1;
  return nameless >= 0 ? nameless : open_named(temporary, path, mode);
}

// Removes what a writer left at `name` that was killed there. Whoever is still at work holds a lock
// on the file, and only the holder of the lock removes it.
void remove_leftover(const std::string& name) {
  const Descriptor file(open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number < 0 || flock(file.number, LOCK_EX | LOCK_NB) != 0) return;
  struct stat opened {
  }, named{};
  if (fstat(file.number, &opened) == 0 && stat(name.c_str(), &named) == 0 &&
      opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
    unlink(name.c_str());
}

// Puts a file that has no name yet in the place of `path`. Only renaming replaces a file, so it
// gets a name first, the same each time: should somebody kill the program just then, the next
// writer of `path` clears up.
void put_in_place(TemporaryFile& temporary, const std::string& path, int descriptor) {
  constexpr int attempts = 200;
  constexpr useconds_t pause = 10'000;  // another writer needs but a moment
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const std::string name = short_stem(path) + ".maskwatch.tmp";
  flock(descriptor, LOCK_EX | LOCK_NB);
  for (int i = 0; linkat(AT_FDCWD, link.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) != 0;
       ++i) {
    if (errno != EEXIST || i == attempts) fail_to_write(path);
    if (i > 0) usleep(pause);
    remove_leftover(name);
  }
  temporary.path = name;
  if (rename(name.c_str(), path.c_str()) != 0) fail_to_write(path);
  temporary.renamed = true;
}

// Where a file that is missing is made: at the end of the links, so that they stay links.
std::string target_of_missing(const std::string& given_path) {
  constexpr int most_links = 40;  // as Linux
  std::filesystem::path path = given_path;
  std::error_code fault;
  for (int i = 0; std::filesystem::is_symlink(path, fault); ++i) {
    if (i == most_links) {
      errno = ELOOP;
      fail_to_write(given_path);
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
  if (fsync(folder.number) != 0 && errno != EINVAL) fail_to_write(path);  // EINVAL: cannot
}

void write_beside_and_rename(const std::string& path, std::string_view bytes, mode_t mode,
                             bool exact_mode) {
  TemporaryFile temporary;
  const Descriptor file(open_beside(temporary, path, mode));
  if (exact_mode && fchmod(file.number, mode) != 0) fail_to_write(path);
  write_all(file.number, path, bytes);
  if (fsync(file.number) != 0) fail_to_write(path);
  if (temporary.path.empty()) return put_in_place(temporary, path, file.number);
  if (rename(temporary.path.c_str(), path.c_str()) != 0) fail_to_write(path);
  temporary.renamed = true;
}

}  // namespace

void write_file_atomically(const std::string& given_path, std::string_view bytes) {
  struct stat status {};
  const bool replaces = stat(given_path.c_str(), &status) == 0;
  if (replaces && S_ISDIR(status.st_mode))
    throw std::runtime_error(given_path + ": cannot write: it is a folder");
  if (replaces && !S_ISREG(status.st_mode)) return write_into_device(given_path, bytes);
  if (const int stream = replaces ? standard_stream_of(status) : -1; stream >= 0)
    return write_all(stream, given_path, bytes);
  // Renaming would replace a file that is write-protected without a word.
  if (replaces && faccessat(AT_FDCWD, given_path.c_str(), W_OK, AT_EACCESS) != 0)
    fail_to_write(given_path);
  const std::string path =
      replaces ? std::filesystem::canonical(given_path).string() : target_of_missing(given_path);
  write_beside_and_rename(path, bytes, replaces ? status.st_mode & 0777 : 0666, replaces);
  sync_folder(path);
}

}  // namespace maskwatch
