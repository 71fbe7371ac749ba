// Exit codes and the one line on standard error.
#include "apps/common/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>
#include <stdexcept>

#include "base/file.h"
#include "base/unavailable.h"
#include "kernels/communicator.h"
#include "tests/apps/common/captured_run.h"

using namespace maskwatch;

namespace {

template <typename Error>
Outcome run_throwing(const Error& error) {
  return run([&](int, char**) -> int { throw error; });
}

}  // namespace

TEST_CASE("a program's own exit code comes through, and its output") {
  const Outcome outcome = run([](int argc, char** argv) {
    std::cout << argv[0] << " " << argc << "\n";
    return 7;
  });
  CHECK(outcome.code == 7);
  CHECK(outcome.out == "/some/where/prog 1\n");
  CHECK(outcome.err.empty());
}

TEST_CASE("bad input ends with 2 and one line") {
  const Outcome usage = run_throwing(apps::UsageError("x.png: no such file", "check the path"));
  CHECK(usage.code == 2);
  CHECK(usage.err == "error: x.png: no such file (check the path)\n");
  CHECK(run_throwing(apps::UsageError("no hint")).err == "error: no hint\n");
  CHECK(run_throwing(std::runtime_error("m.safetensors: truncated")).code == 2);
  CHECK(run_throwing(std::invalid_argument("resize: width 0")).err == "error: resize: width 0\n");
  CHECK(run_throwing(std::invalid_argument("resize: width 0")).code == 2);
}

TEST_CASE("a failure at work ends with 1") {
  CHECK(run_throwing(std::bad_alloc()).code == 1);
  CHECK(run_throwing(std::bad_alloc()).err == "error: not enough memory\n");
  CHECK(run_throwing(std::domain_error("the loss is no longer finite")).code == 1);
  CHECK(run_throwing(std::domain_error("diverged")).err == "error: diverged\n");
  CHECK(run_throwing(std::logic_error("oops")).code == 1);
  CHECK(run_throwing(WriteError("m.safetensors: cannot write: No space left")).code == 1);
  CHECK(run_throwing(42).code == 1);
  CHECK(run_throwing(42).err == "error: internal: an exception of unknown type\n");
}

TEST_CASE("a fault of another process ends with what it asks for") {
  const Outcome outcome = run_throwing(kernels::RankFault("nowhere: no such folder", 2));
  CHECK(outcome.code == 2);
  CHECK(outcome.err == "error: nowhere: no such folder\n");
  CHECK(run_throwing(Unavailable("camera 0: there is no such camera")).code == 1);
  CHECK(run_throwing(kernels::RankFault("lost touch with another rank")).code == 1);
}

TEST_CASE("a command that only asked for help is done") {
  const Outcome outcome = run_throwing(apps::CommandDone());
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
}

TEST_CASE("a hostile name stays on one line and off the terminal") {
  const Outcome outcome = run_throwing(std::runtime_error("a\nb\x1b[2J\x07 \xc3\xa9.jpg: bad\n"));
  CHECK(outcome.err == "error: a b\\x1b[2J\\x07 \xc3\xa9.jpg: bad\n");
}

TEST_CASE("neither C1 controls nor turned writing nor broken UTF-8 reach the terminal") {
  CHECK(apps::one_line("a\xc2\x9b"
                       "2J") == "a\\u{009b}2J");
  CHECK(apps::one_line("\xe2\x80\xae"
                       "gpj.exe") == "\\u{202e}gpj.exe");
  CHECK(apps::one_line("\xe2\x81\xa7x") == "\\u{2067}x");
  CHECK(apps::one_line("\xe2\x80\xa8x") == "\\u{2028}x");
  CHECK(apps::one_line("\xff\x9b\xc3") == "\\xff\\x9b\\xc3");
  for (const char* kept :
       {"Maske \xc3\xbc"
        "ber der Nase",
        "\xe5\x8f\xa3\xe7\xbd\xa9", "\xf0\x9f\x98\xb7", "\xd9\x82\xd9\x86\xd8\xa7\xd8\xb9",
        "n\xc2\xa0"
        "b"})
    CHECK(apps::one_line(kept) == kept);
}

TEST_CASE("no file takes the place of a standard stream that is closed") {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      close(stream);
      char name[] = "prog";
      char* argv[] = {name};
      apps::run_program(1, argv, [&](int, char**) {
        const int opened = open("/dev/null", O_RDWR);
        char byte = 0;
        const bool reads = read(STDIN_FILENO, &byte, 0) == 0;
        const bool writes = write(stream == STDIN_FILENO ? 1 : stream, "", 0) == 0;
        _exit(opened <= STDERR_FILENO  ? 1
              : stream == STDIN_FILENO ? (reads ? 2 : 0)
                                       : (writes ? 3 : 0));
        return 0;
      });
      _exit(4);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}

TEST_CASE("output that cannot be written is an error; a reader who left is not") {
  const auto body = [](int, char**) {
    std::printf("figures\n");
    return 0;
  };
  char name[] = "prog";
  char* argv[] = {name};
  std::FILE* err = std::tmpfile();
  int full_code = 0;
  int pipe_code = 0;
  {
    const Redirection to_err(stderr, fileno(err));
    const int full = open("/dev/full", O_WRONLY);
    REQUIRE(full >= 0);
    {
      const Redirection to_full(stdout, full);
      full_code = apps::run_program(1, argv, body);
    }
    close(full);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    {
      const Redirection to_pipe(stdout, ends[1]);
      pipe_code = apps::run_program(1, argv, body);
    }
    close(ends[1]);
  }
  CHECK(full_code == 1);
  CHECK(pipe_code == 0);
  CHECK(contents(err) == "error: cannot write to standard output: No space left on device\n");
}
