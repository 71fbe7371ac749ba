#include "apps/common/stop_signals.h"

#include <signal.h>
#include <time.h>

#include <cstdint>

namespace maskwatch::apps {
namespace {

std::atomic<bool> stop{false};

// `timeout`, or a terminal together with a script, sends us the same signal twice.
constexpr std::int64_t kSameSignal = 500'000'000;  // ns

void obey_signal(int signal) {
  static std::atomic<std::int64_t> first{0};
  timespec clock{};
  clock_gettime(CLOCK_MONOTONIC, &clock);
  const std::int64_t now = clock.tv_sec * std::int64_t{1'000'000'000} + clock.tv_nsec;
  std::int64_t before = 0;
  if (first.compare_exchange_strong(before, now))
    stop = true;
  else if (now - before > kSameSignal) {
    ::signal(signal, SIG_DFL);
    raise(signal);
  }
}

}  // namespace

std::atomic<bool>& stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = obey_signal;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  return stop;
}

}  // namespace maskwatch::apps
