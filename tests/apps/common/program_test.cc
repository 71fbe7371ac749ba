// Exit codes and the one line on standard error.
#include "apps/common/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <new>
#include <stdexcept>

using namespace maskwatch;

namespace {

// Points a standard stream at an open file while it lives.
class Redirection {
 public:
  Redirection(std::FILE* stream, int target) : stream_(stream) {
    std::fflush(stream_);
    saved_ = dup(fileno(stream_));
    dup2(target, fileno(stream_));
  }
  ~Redirection() {
    std::fflush(stream_);
    std::clearerr(stream_);
    std::cout.clear();
    dup2(saved_, fileno(stream_));
    close(saved_);
  }

 private:
  std::FILE* stream_;
  int saved_;
};

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

std::string contents(std::FILE* file) {
  std::rewind(file);
  std::string text;
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

Outcome run(const std::function<int(int, char**)>& body, std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.begin(), "/some/where/prog");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  std::FILE* out = std::tmpfile();
  std::FILE* err = std::tmpfile();
  int code = -1;
  {
    const Redirection to_out(stdout, fileno(out));
    const Redirection to_err(stderr, fileno(err));
    code = apps::run_program(static_cast<int>(argv.size()), argv.data(), body);
  }
  return {code, contents(out), contents(err)};
}

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
  const Outcome work = run_throwing(apps::WorkError("gnuplot died", "see above"));
  CHECK(work.code == 1);
  CHECK(work.err == "error: gnuplot died (see above)\n");
  CHECK(run_throwing(std::bad_alloc()).code == 1);
  CHECK(run_throwing(std::bad_alloc()).err == "error: not enough memory\n");
  CHECK(run_throwing(std::logic_error("oops")).code == 1);
  CHECK(run_throwing(42).code == 1);
  CHECK(run_throwing(42).err == "error: internal: an exception of unknown type\n");
}

TEST_CASE("a hostile name stays on one line and off the terminal") {
  const Outcome outcome = run_throwing(std::runtime_error("a\nb\x1b[2J\x07 \xc3\xa9.jpg: bad\n"));
  CHECK(outcome.err == "error: a b\\x1b[2J\\x07 \xc3\xa9.jpg: bad\n");
}

TEST_CASE("command lines") {
  int size = 0;
  bool reached = false;
  const auto body = [&](int argc, char** argv) {
    CLI::App app("draws boxes");
    app.add_option("--size", size, "edge");
    apps::parse_arguments(app, argc, argv);
    reached = true;
    return 0;
  };
  CHECK(run(body, {"--size", "96"}).code == 0);
  CHECK(size == 96);

  reached = false;
  const Outcome wrong = run(body, {"--sise", "96"});
  CHECK(wrong.code == 2);
  CHECK(wrong.err.substr(0, 7) == "error: ");
  CHECK(wrong.err.find("--sise") != std::string::npos);
  CHECK(wrong.err.find("(see prog --help)\n") != std::string::npos);
  CHECK(std::count(wrong.err.begin(), wrong.err.end(), '\n') == 1);
  CHECK(run(body, {"--size", "many"}).code == 2);

  const Outcome help = run(body, {"--help"});
  CHECK(help.code == 0);
  CHECK(help.err.empty());
  CHECK(help.out.find("draws boxes") != std::string::npos);
  CHECK(help.out.find("--size") != std::string::npos);
  CHECK_FALSE(reached);

  const Outcome raw = run(
      [](int argc, char** argv) {
        CLI::App app;
        app.parse(argc, argv);
        return 0;
      },
      {"stray"});
  CHECK(raw.code == 2);
  CHECK(raw.err.find("(see prog --help)\n") != std::string::npos);
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
