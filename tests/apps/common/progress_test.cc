// The progress line at every width, and how often it is drawn.
#include "apps/common/progress.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace maskwatch;

namespace {

// A terminal of 80 columns whose clock the test sets.
struct FakeTerminal {
  std::string written;
  double time = 100;
  apps::ProgressOutput output(bool terminal) {
    return {[this](std::string_view text) { written += text; }, terminal, [] { return 80; },
            [this] { return time; }};
  }
};

const apps::Figures two_figures{{"loss", 0.1234}, {"accuracy", 0.98764}};

}  // namespace

TEST_CASE("durations") {
  CHECK(apps::format_duration(0) == "0:00");
  CHECK(apps::format_duration(7.4) == "0:07");
  CHECK(apps::format_duration(59.6) == "1:00");
  CHECK(apps::format_duration(83) == "1:23");
  CHECK(apps::format_duration(7384) == "2:03:04");
  CHECK(apps::format_duration(-1) == "?");
  CHECK(apps::format_duration(std::nan("")) == "?");
  CHECK(apps::format_duration(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("the line shrinks to the width") {
  const auto line = [](int width) { return apps::progress_line(12, 35, two_figures, 83, width); };
  CHECK(line(70) == " 12/35 [=====>..........] 34%  loss 0.1234  accuracy 0.9876  1:23 left");
  CHECK(line(200) ==
        " 12/35 [==========>...................] 34%  loss 0.1234  accuracy 0.9876  1:23 left");
  CHECK(line(55) == " 12/35 34%  loss 0.1234  accuracy 0.9876  1:23 left");
  CHECK(line(40) == " 12/35 34%  loss 0.1234  1:23 left");
  CHECK(line(25) == " 12/35 34%  1:23 left");
  CHECK(line(15) == " 12/35 34%");
  CHECK(line(4) == " 12/");
  for (int width = -1; width < 120; ++width)
    CHECK(static_cast<int>(line(width).size()) <= std::max(width, 0));
  CHECK(apps::progress_line(3, 1000, {}, -1, 40) == "    3/1000 [>.......................] 0%");
  CHECK(apps::progress_line(0, 0, {}, -1, 20) == " 0/0 [========] 100%");
}

TEST_CASE("a terminal sees at most ten drawings a second, and the line at the end") {
  FakeTerminal terminal;
  apps::ProgressBar bar(10, terminal.output(true));
  bar.update(0);
  CHECK(terminal.written.substr(0, 4) == "\r\x1b[K");
  CHECK(terminal.written.find("left") == std::string::npos);

  terminal.written.clear();
  terminal.time += 0.05;
  bar.update(1, two_figures);
  CHECK(terminal.written.empty());
  terminal.time += 1.95;
  bar.update(2, two_figures);
  CHECK(terminal.written.find(" 2/10 [") != std::string::npos);
  CHECK(terminal.written.find("accuracy 0.9876  0:08 left") != std::string::npos);
  CHECK(terminal.written.size() <= 79 + 4);
  CHECK(terminal.written.find('\n') == std::string::npos);

  terminal.written.clear();
  bar.finish("Epoch 1/20  loss 0.1");
  CHECK(terminal.written == "\r\x1b[KEpoch 1/20  loss 0.1\n");
  bar.update(3);
  bar.finish("again");
  CHECK(terminal.written == "\r\x1b[KEpoch 1/20  loss 0.1\n");
}

TEST_CASE("elsewhere only the line at the end is written") {
  FakeTerminal log;
  {
    apps::ProgressBar bar(10, log.output(false));
    bar.update(5, two_figures);
    log.time += 10;
    bar.update(9, two_figures);
    CHECK(log.written.empty());
    bar.finish("Epoch 1/20");
  }
  CHECK(log.written == "Epoch 1/20\n");
}

TEST_CASE("a bar that is left by an exception wipes itself") {
  FakeTerminal terminal;
  {
    apps::ProgressBar bar(10, terminal.output(true));
    bar.update(5);
    terminal.written.clear();
  }
  CHECK(terminal.written == "\r\x1b[K");
}
