// A call that makes no sense ends in an assertion of kernels/checks.h, whatever the back end. Only
// builds with assertions can show it: meson setup build-debug --buildtype=debugoptimized
#include "kernels/checks.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "kernels/table.h"

using namespace maskwatch;

namespace {

struct Death {
  bool aborted;
  std::string words;  // on its standard error
};

// What becomes of a process that does this.
Death death_of(const std::function<void()>& action) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // doctest has a handler of its own
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    action();
    _exit(0);
  }
  close(ends[1]);
  Death death = {};
  char buffer[512];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof(buffer))) > 0;)
    death.words.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  death.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  return death;
}

using kernels::Activation;
using kernels::ConvShape;

struct Mistake {
  std::string words;
  std::function<void(const kernels::Table<float>&, float* values)> make;
};

const ConvShape kConv = {.in_height = 5,
                         .in_width = 5,
                         .in_channels = 2,
                         .out_height = 5,
                         .out_width = 5,
                         .out_channels = 2};

ConvShape changed(void (*change)(ConvShape&)) {
  ConvShape s = kConv;
  change(s);
  return s;
}

Mistake convolution(const std::string& words, const ConvShape& s) {
  return {words, [s](const kernels::Table<float>& k, float* p) {
            k.conv2d(p, p + 100, p + 200, nullptr, Activation::none, s);
          }};
}

std::vector<Mistake> mistakes() {
  return {
      convolution("a size is negative", changed([](ConvShape& s) { s.in_width = -5; })),
      convolution("a stride below 1", changed([](ConvShape& s) { s.stride = 0; })),
      convolution("too many outputs", changed([](ConvShape& s) { s.out_height = 7; })),
      convolution("too few outputs", changed([](ConvShape& s) { s.out_width = 3; })),
      {"depthwise keeps the channels",
       [](const auto& k, float* p) {
         const ConvShape s = changed([](ConvShape& shape) { shape.out_channels = 1; });
         k.depthwise3x3(p, p + 100, p + 200, nullptr, Activation::none, s);
       }},
      {"an input is null",
       [](const auto& k, float* p) {
         k.gemm(p, nullptr, p + 9, {3, 3, 3});
       }},
      {"an output is null", [](const auto& k, float* p) { k.relu(nullptr, p, 9); }},
      {"an output overlaps an input",
       [](const auto& k, float* p) {
         k.gemm(p, p + 8, p + 20, {3, 3, 3});
       }},
      {"an output overlaps an input", [](const auto& k, float* p) { k.relu(p, p + 1, 9); }},
  };
}

std::vector<const kernels::Table<float>*> tables() {
  std::vector<const kernels::Table<float>*> all = {&kernels::ref::table<float>()};
  for (const std::string& target : kernels::targets()) all.push_back(&kernels::cpu(target));
  return all;
}

}  // namespace

TEST_CASE("calls that make no sense end in an assertion") {
  if (!kernels::kAsserts) {
    MESSAGE("SKIPPED: this build has no assertions");
    return;
  }
  std::vector<float> values(400);
  for (const kernels::Table<float>* table : tables())
    for (const Mistake& mistake : mistakes()) {
      CAPTURE(mistake.words);
      const Death death = death_of([&] { mistake.make(*table, values.data()); });
      CHECK(death.aborted);
      CHECK(death.words.find(mistake.words) != std::string::npos);
    }
  // The same kinds of calls, without the mistakes, come back.
  for (const kernels::Table<float>* table : tables()) {
    float* p = values.data();
    table->conv2d(p, p + 100, p + 200, nullptr, Activation::none, kConv);
    table->depthwise3x3(p, p + 100, p + 200, nullptr, Activation::none, kConv);
    table->gemm(p, p + 9, p + 18, {3, 3, 3});
    table->relu(p, p, 9);
  }
}
