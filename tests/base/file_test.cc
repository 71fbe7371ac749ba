// Files are read whole and written atomically, whatever the disk, the folder and the target are.
#include "base/file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn_test;

namespace {

std::string write_fault(const std::string& path, const std::string& bytes = "new") {
  return message_of<std::runtime_error>([&] { write_file_atomically(path, bytes); });
}

mode_t permissions_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Files of this process end at `bytes`, as on a full disk, until the end of the scope.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a file is written, replaced and read whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a"), bytes("zero \0 byte", 11);
  write_file_atomically(path, bytes);
  CHECK(read_file(path) == bytes);
  write_file_atomically(path, "");
  CHECK(read_file(path) == "");
  CHECK(folder.count() == 1);
}

TEST_CASE("a new file has the rights that the umask allows") {
  const TemporaryFolder folder;
  const mode_t before = umask(027);
  write_file_atomically(folder.file("a"), "x");
  umask(before);
  CHECK(permissions_of(folder.file("a")) == 0640);
}

TEST_CASE("a full disk: the old file stays, nothing else is left, the message names the file") {
  const TemporaryFolder folder;
  const std::string path = folder.file("model.safetensors");
  write_file_atomically(path, "old");
  std::string message;
  {
    const FileSizeLimit limit(4096);
    message = write_fault(path, std::string(1 << 20, 'x'));
  }
  CHECK(contains(message, path + ": cannot write"));
  CHECK(contains(message, "File too large"));
  CHECK(read_file(path) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("a device is written as it is and never replaced") {
  const std::string message = write_fault("/dev/full");
  CHECK(contains(message, "/dev/full: cannot write"));
  CHECK(contains(message, "No space left"));
  write_file_atomically("/dev/null", "x");
  for (const char* device : {"/dev/full", "/dev/null"})
    CHECK(std::filesystem::is_character_file(device));
}

TEST_CASE("a pipe that the process was started with is read to its end, also when it is slow") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::thread writer([&] {
    for (const char* part : {"first ", "second"}) {
      CHECK(::write(ends[1], part, strlen(part)) == static_cast<ssize_t>(strlen(part)));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    close(ends[1]);
  });
  fcntl(ends[0], F_SETFL, O_NONBLOCK);  // as a shell may leave it
  CHECK(read_file("/dev/fd/" + std::to_string(ends[0])) == "first second");
  writer.join();
  // Its writer is gone: opening it again would wait for ever.
  CHECK(read_file("/proc/self/fd/" + std::to_string(ends[0])) == "");
  close(ends[0]);
  CHECK_THROWS_AS(read_file("/dev/fd/x"), std::runtime_error);
}

TEST_CASE("a pipe behind a link that names no file, as /dev/stdout is, is written") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(ends[1]), folder.file("out"));
  write_file_atomically(folder.file("out"), "bytes");
  char read_back[6] = {};
  CHECK(::read(ends[0], read_back, 5) == 5);
  CHECK(std::string(read_back) == "bytes");
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("a file that standard output or error goes to is written where they are") {
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    const TemporaryFolder folder;
    const std::string path = folder.file("out.txt");
    std::filesystem::create_symlink("/proc/self/fd/" + std::to_string(stream), folder.file("link"));
    std::fflush(nullptr);
    const int before = dup(stream), file = open(path.c_str(), O_WRONLY | O_CREAT, 0666);
    dup2(file, stream);
    const auto print = [&](const char* text) { return ::write(stream, text, strlen(text)); };
    print("before ");
    const std::string by_link = write_fault(folder.file("link"), "history ");
    const std::string by_name = write_fault(path, "again ");
    print("after");
    dup2(before, stream);
    close(before);
    close(file);
    CHECK(by_link == "nothing was thrown");
    CHECK(by_name == "nothing was thrown");
    CHECK(read_file(path) == "before history again after");
    CHECK(folder.count() == 2);
  }
}

TEST_CASE("no folder to write in") {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("file"), "old");
  const std::string under_file = folder.file("file") + "/model";
  CHECK(contains(write_fault(under_file), under_file + ": cannot write"));
  CHECK(contains(write_fault(under_file), "Not a directory"));
  const std::string missing = folder.file("missing/model");
  CHECK(contains(write_fault(missing), "No such file or directory"));
  CHECK(contains(write_fault("/proc/maskwatch"), "/proc/maskwatch: cannot write in /proc"));
  CHECK(contains(write_fault(folder.file("")), "is a folder"));
  CHECK(contains(write_fault(folder.file(std::string(300, 'n'))), "too long"));
  CHECK(folder.count() == 1);
  CHECK(read_file(folder.file("file")) == "old");
}

TEST_CASE("a link stays a link, and what it points to is replaced") {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("target"), "old");
  std::filesystem::create_symlink("target", folder.file("link"));
  write_file_atomically(folder.file("link"), "new");
  CHECK(std::filesystem::is_symlink(folder.file("link")));
  CHECK(read_file(folder.file("target")) == "new");
  CHECK(folder.count() == 2);
}

TEST_CASE("a link to nothing yet stays a link, and its target is made") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.file("store"));
  std::filesystem::create_symlink("store/target", folder.file("first"));
  std::filesystem::create_symlink(folder.file("first"), folder.file("second"));
  write_file_atomically(folder.file("second"), "new");
  CHECK(std::filesystem::is_symlink(folder.file("first")));
  CHECK(std::filesystem::is_symlink(folder.file("second")));
  CHECK(read_file(folder.file("store/target")) == "new");
}

TEST_CASE("links in a circle are named") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("b", folder.file("a"));
  std::filesystem::create_symlink("a", folder.file("b"));
  CHECK(contains(write_fault(folder.file("a")), folder.file("a") + ": cannot write: Too many"));
  CHECK(folder.count() == 2);
}

TEST_CASE("a file that is replaced passes its permissions on, whatever the umask") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  for (const mode_t mode : {0600u, 0640u, 0666u, 0755u}) {
    write_file_atomically(path, "old");
    REQUIRE(chmod(path.c_str(), mode) == 0);
    const mode_t before = umask(077);
    write_file_atomically(path, "new");
    umask(before);
    CHECK(permissions_of(path) == mode);
  }
}

TEST_CASE("a write-protected file is not replaced") {
  if (geteuid() == 0) {
    MESSAGE("root may write everything");
    return;
  }
  const TemporaryFolder folder;
  write_file_atomically(folder.file("a"), "old");
  REQUIRE(chmod(folder.file("a").c_str(), 0444) == 0);
  CHECK(contains(write_fault(folder.file("a")), folder.file("a") + ": cannot write: Permission"));
  CHECK(read_file(folder.file("a")) == "old");
}

TEST_CASE("the longest name that the system allows") {
  const TemporaryFolder folder;
  const std::string path = folder.file(std::string(255, 'n'));
  write_file_atomically(path, "bytes");
  CHECK(read_file(path) == "bytes");
  CHECK(folder.count() == 1);
}

TEST_CASE("a file that does not know its size is read to its end") {
  CHECK(contains(read_file("/proc/self/status"), "Threads:"));
}

TEST_CASE("what a killed program left behind is no hindrance") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write(path + "." + std::to_string(getpid()) + "-0.tmp", "half");
  write_file_atomically(path, "whole");
  CHECK(read_file(path) == "whole");
  CHECK(folder.count() == 2);
}

TEST_CASE("what cannot be read is named") {
  const TemporaryFolder folder;
  const auto fault = [](const std::string& path) {
    return message_of<std::runtime_error>([&] { read_file(path); });
  };
  CHECK(contains(fault(folder.file("none")), folder.file("none") + ": cannot open: No such file"));
  CHECK(contains(fault(folder.file("")), "is not a regular file"));
  CHECK(contains(fault("/dev/zero"), "/dev/zero: is not a regular file"));
  REQUIRE(mkfifo(folder.file("pipe").c_str(), 0600) == 0);  // nobody writes into it
  CHECK(contains(fault(folder.file("pipe")), "is not a regular file"));
}

TEST_CASE("a check sees the beginning of a file and its size before the rest is read") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  for (const std::size_t size : {0u, 1u, 4095u, 4096u, 4097u, 100000u}) {
    std::string bytes(size, 'x');
    if (size > 0) bytes.back() = 'y';
    write_file_atomically(path, bytes);
    std::size_t told = 1, calls = 0;
    std::string first;
    CHECK(read_file(path, [&](std::string_view beginning, std::size_t whole) {
            first = beginning;
            told = whole;
            ++calls;
          }) == bytes);
    CHECK(calls == 1);
    CHECK(told == size);
    CHECK(first == bytes.substr(0, 4096));
  }
  // A file of 6 GiB that takes no room on the disk.
  std::filesystem::resize_file(path, std::uintmax_t{6} << 30);
  CHECK_THROWS_AS(read_file(path, [](std::string_view, std::size_t) { throw 1; }), int);
  CHECK(message_of<std::runtime_error>([&] { read_file(path); }) ==
        path + ": is over the limit of 1024 MiB (MASKWATCH_MAX_FILE_MB sets it)");
  CHECK(read_file("/proc/self/status").size() > 100);
}

TEST_CASE("a writer that is killed leaves the old file or the new one, and nothing else") {
  const TemporaryFolder folder;
  const std::string path = folder.file("checkpoint");
  const std::string old_bytes(3 << 20, 'o'), new_bytes(3 << 20, 'n');
  write_file_atomically(path, old_bytes);
  for (int moment = 0; moment < 40; ++moment) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int i = 0;; ++i) write_file_atomically(path, i % 2 == 0 ? new_bytes : old_bytes);
    }
    usleep(static_cast<useconds_t>(500 + 300 * moment));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const std::string found = read_file(path);
    CHECK((found == old_bytes || found == new_bytes));
  }
  const int nameless = open(folder.file(".").c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
  if (nameless < 0) {
    MESSAGE("SKIPPED, NOT TESTED: this file system knows no files without a name");
    return;
  }
  close(nameless);
  // Seldom a kill comes between naming the new file and renaming it: the next writer clears up.
  CHECK(folder.count() <= 2);
  write_file_atomically(path, "last");
  CHECK(folder.count() == 1);
  CHECK(read_file(path) == "last");
}

TEST_CASE("a disk that is full is told apart from a place where nobody may write") {
  const TemporaryFolder folder;
  const auto is_write_error = [](const std::string& path) {
    try {
      write_file_atomically(path, std::string(1 << 20, 'x'));
    } catch (const WriteError&) {
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
    FAIL("it was written");
    return false;
  };
  CHECK(is_write_error("/dev/full"));
  CHECK_FALSE(is_write_error("/nowhere/at/all"));
  CHECK_FALSE(is_write_error(folder.file("")));
  const FileSizeLimit limit(4096);
  CHECK(is_write_error(folder.file("a")));
}

TEST_CASE("a disk that is full is not the fault of who named the file") {
  CHECK_THROWS_WITH_AS(throw_write_fault("x", ENOSPC), "x: No space left on device", WriteError);
  CHECK_THROWS_AS(throw_write_fault("x", EMFILE), WriteError);
  try {
    throw_write_fault("x", EACCES);
  } catch (const WriteError&) {
    FAIL("of the place");
  } catch (const std::runtime_error& fault) {
    CHECK(std::string(fault.what()) == "x: Permission denied");
  }
}

TEST_CASE("several processes write one file at once") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  std::vector<pid_t> children;
  for (int number = 0; number < 4; ++number) {
    children.push_back(fork());
    REQUIRE(children.back() >= 0);
    if (children.back() == 0) {
      try {
        for (int i = 0; i < 60; ++i)
          write_file_atomically(path, std::string(1000, static_cast<char>('0' + number)));
      } catch (...) {
        _exit(1);
      }
      _exit(0);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  const std::string bytes = read_file(path);
  CHECK(bytes == std::string(1000, bytes[0]));
  CHECK(folder.count() == 1);
}
