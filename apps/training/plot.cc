// gnuplot runs without a shell; its commands come from a file in memory and the picture comes back
// through a pipe, so that no file name ever stands in a command.
#include "apps/training/plot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "apps/common/program.h"
#include "base/file.h"

extern char** environ;

namespace maskwatch::apps {
namespace {

constexpr int seconds_to_wait = 60;
constexpr const char* install_hint =
    "install the package gnuplot-nox, or set GNUPLOT to the program's path";

std::string gnuplot() {
  const char* name = std::getenv("GNUPLOT");
  return name != nullptr && *name != '\0' ? name : "gnuplot";
}

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { reset(); }
  void reset() {
    if (value_ >= 0) close(value_);
    value_ = -1;
  }
  int get() const { return value_; }

 private:
  int value_;
};

[[noreturn]] void fail_system(const std::string& what, int error) {
  throw WorkError("plot: " + what + ": " + std::strerror(error));
}

// A file without a name that holds `text`, to be read from its start.
Descriptor memory_file(std::string_view text) {
  Descriptor file(memfd_create("maskwatch-plot", MFD_CLOEXEC));
  if (file.get() < 0) fail_system("cannot make a file in memory", errno);
  while (!text.empty()) {
    const ssize_t count = write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail_system("cannot write to a file in memory", errno);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

// A running program; killed and reaped on the way out unless it was waited for.
class Child {
 public:
  Child(std::vector<std::string> arguments, int input, int output, int errors);
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // The status of waitpid.
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

Child::Child(std::vector<std::string> arguments, int input, int output, int errors) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  // Our ignored SIGPIPE is not for the child.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return;
  pid_ = -1;
  throw WorkError(fmt::format("plot: cannot run {}: {}", arguments[0], std::strerror(error)),
                  install_hint);
}

// Everything until the other side closes; a program that is silent for too long is given up.
std::string read_all(int descriptor) {
  std::string bytes;
  char block[65536];
  while (true) {
    pollfd ready{descriptor, POLLIN, 0};
    const int count = poll(&ready, 1, seconds_to_wait * 1000);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0)
      throw WorkError(fmt::format("plot: gnuplot gave no answer in {} s", seconds_to_wait));
    const ssize_t size = count < 0 ? -1 : read(descriptor, block, sizeof block);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail_system("cannot read from gnuplot", errno);
    if (size == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(size));
  }
}

bool is_whole_png(const std::string& bytes) {
  constexpr std::string_view signature = "\x89PNG\r\n\x1a\n";
  constexpr std::string_view end{"\0\0\0\0IEND\xae\x42\x60\x82", 12};
  return bytes.size() > signature.size() + end.size() && bytes.starts_with(signature) &&
         bytes.ends_with(end);
}

// What gnuplot said, without its blank lines and carets.
std::string complaint(const std::string& errors) {
  const std::size_t end = errors.find_last_not_of(" \n");
  if (end == std::string::npos) return "no picture came back";
  const std::size_t begin = errors.rfind('\n', end);
  return errors.substr(begin == std::string::npos ? 0 : begin + 1, end - begin);
}

std::string run_gnuplot(const std::string& script) {
  Descriptor input = memory_file(script);
  Descriptor errors = memory_file("");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail_system("cannot make a pipe", errno);
  Descriptor from(ends[0]);
  Descriptor to(ends[1]);
  // -d: the user's start-up file has no say.
  Child child({gnuplot(), "-d"}, input.get(), to.get(), errors.get());
  to.reset();
  std::string picture = read_all(from.get());
  const int status = child.wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && is_whole_png(picture)) return picture;
  lseek(errors.get(), 0, SEEK_SET);
  throw WorkError(gnuplot() + " failed: " + complaint(read_all(errors.get())));
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.9g}", value) : "NaN";
}

// Lower and upper end of an axis that holds all finite values, with some air.
std::pair<double, double> range_of(const History& history, double EpochRecord::*a,
                                   double EpochRecord::*b) {
  double low = INFINITY;
  double high = -INFINITY;
  for (const EpochRecord& record : history) {
    for (const double value : {record.*a, record.*b}) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) return {0, 1};
  const double air = std::max(0.06 * (high - low), 1e-3 * std::max(std::abs(high), 1.0));
  return {low - air, high + air};
}

std::string last_value(const History& history, double EpochRecord::*figure) {
  const double value = history.back().*figure;
  return std::isfinite(value) ? fmt::format("{:.4f}", value) : "not finite";
}

// One of the two panels: the training figure and the validation figure.
std::string panel(const History& history, const std::string& label, const std::string& short_name,
                  double EpochRecord::*train, double EpochRecord::*validation, int column,
                  const std::string& key) {
  const auto [low, high] = range_of(history, train, validation);
  std::string text = fmt::format("set ylabel '{}'\nset yrange [{:.9g}:{:.9g}]\nset key {}\n", label,
                                 low, high, key);
  text += fmt::format(
      "plot $history using 1:{} with linespoints ls 1 title 'train\\_{}  {}', "
      "'' using 1:{} with linespoints ls 2 title 'val\\_{}  {}'\n",
      column, short_name, last_value(history, train), column + 1, short_name,
      last_value(history, validation));
  return text;
}

}  // namespace

bool plot_available() {
  try {
    Descriptor null(open("/dev/null", O_RDWR | O_CLOEXEC));
    Child child({gnuplot(), "--version"}, null.get(), null.get(), null.get());
    const int status = child.wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  } catch (const WorkError&) {
    return false;
  }
}

std::string plot_script(const History& history) {
  if (history.empty()) throw std::invalid_argument("plot: the history holds no epoch");
  std::string script =
      "if (strstrt(GPVAL_TERMINALS, ' pngcairo ')) {\n"
      "  set terminal pngcairo size 1280,560 font 'DejaVu Sans,11' background '#ffffff'\n"
      "} else {\n"
      "  set terminal png truecolor size 1280,560 background '#ffffff'\n"
      "}\n"
      "$history << EOD\n";
  for (const EpochRecord& record : history)
    script += fmt::format("{} {} {} {} {}\n", record.epoch, number(record.loss),
                          number(record.validation_loss), number(record.accuracy),
                          number(record.validation_accuracy));
  const double first = history.front().epoch;
  const double last = history.back().epoch;
  const double air = std::max(0.5, 0.02 * (last - first));
  // Markers help while there are few of them.
  const double marker = history.size() <= 60 ? 0.8 : 0;
  script += fmt::format(
      "EOD\n"
      "set border 3 linecolor rgb '#555555'\n"
      "set tics nomirror textcolor rgb '#333333'\n"
      "set grid linecolor rgb '#dddddd' linewidth 1 linetype 1\n"
      "set style line 1 linecolor rgb '#d95f02' linewidth 2.2 pointtype 7 pointsize {0}\n"
      "set style line 2 linecolor rgb '#1b6ca8' linewidth 2.2 pointtype 5 pointsize {0}\n"
      "set key box linecolor rgb '#cccccc' opaque spacing 1.2 samplen 2.5\n"
      "set xlabel 'Epoch #'\n"
      "set xrange [{1}:{2}]\n"
      "{3}"
      "set multiplot layout 1,2 title 'Training Loss and Accuracy' font ',15'\n",
      marker, first - air, last + air, last - first < 10 ? "set xtics 1\n" : "");
  script += panel(history, "Loss", "loss", &EpochRecord::loss, &EpochRecord::validation_loss, 2,
                  "top right");
  script += panel(history, "Accuracy", "acc", &EpochRecord::accuracy,
                  &EpochRecord::validation_accuracy, 4, "bottom right");
  return script + "unset multiplot\n";
}

void plot_history(const std::string& path, const History& history) {
  write_file_atomically(path, run_gnuplot(plot_script(history)));
}

}  // namespace maskwatch::apps
