// Runs a program's body in this process and keeps its exit code and what it wrote.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "apps/common/program.h"

namespace maskwatch {

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

inline std::string contents(std::FILE* file) {
  std::rewind(file);
  std::string text;
  for (int c; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

inline Outcome run(const std::function<int(int, char**)>& body,
                   std::vector<std::string> arguments = {}) {
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

}  // namespace maskwatch
