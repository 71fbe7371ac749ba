// The curves stand where the figures say, and a missing or failing gnuplot is an error, not a
// broken picture.
#include "apps/training/plot.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "apps/common/program.h"
#include "tests/apps/temporary_folder.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;

// Another program in gnuplot's place while it lives.
class Gnuplot {
 public:
  explicit Gnuplot(const std::string& program) { setenv("GNUPLOT", program.c_str(), 1); }
  ~Gnuplot() { unsetenv("GNUPLOT"); }
};

bool gnuplot_is_missing() {
  if (apps::plot_available()) return false;
  MESSAGE("SKIPPED: gnuplot is missing");
  return true;
}

// Loss falls from 1 to 0.1, accuracy rises; validation the other way round.
apps::History crossing_curves(int epochs) {
  apps::History history;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const double x = epochs > 1 ? (epoch - 1.0) / (epochs - 1) : 0;
    history.push_back({epoch, 1 - 0.9 * x, 0.5 + 0.4 * x, 0.1 + 0.9 * x, 0.9 - 0.4 * x, 1e-4, 1});
  }
  return history;
}

// Mean row of the pixels near one of the two curve colours in columns [x0, x1); NaN without any.
double mean_row(const vision::Image& image, int x0, int x1, bool training) {
  const int colour[2][3] = {{0x1b, 0x6c, 0xa8}, {0xd9, 0x5f, 0x02}};
  double sum = 0;
  int count = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = x0; x < x1; ++x) {
      int distance = 0;
      for (int c = 0; c < 3; ++c) distance += std::abs(image.at(x, y)[c] - colour[training][c]);
      if (distance > 30) continue;
      sum += y;
      ++count;
    }
  }
  return count > 0 ? sum / count : std::nan("");
}

}  // namespace

TEST_CASE("four curves stand where the figures say") {
  if (gnuplot_is_missing()) return;
  const TemporaryFolder folder;
  const std::string path = folder / "it's a \"plot\".png";
  apps::plot_history(path, crossing_curves(20));
  const vision::Image image = vision::load_image(path);
  CHECK(image.width == 1280);
  CHECK(image.height == 560);
  // The loss stands on the left half, the accuracy on the right one; columns clear of the keys.
  CHECK(mean_row(image, 100, 200, true) < 150);
  CHECK(mean_row(image, 100, 200, false) > 400);
  CHECK(mean_row(image, 740, 840, true) > 400);
  CHECK(mean_row(image, 740, 840, false) < 150);
  CHECK(mean_row(image, 330, 345, true) > 230);
  CHECK(mean_row(image, 330, 345, true) < 330);
}

TEST_CASE("one epoch, many epochs, and figures that are not finite") {
  if (gnuplot_is_missing()) return;
  const TemporaryFolder folder;
  const auto draw = [&](const apps::History& history) {
    apps::plot_history(folder / "plot.png", history);
    return vision::load_image(folder / "plot.png");
  };
  CHECK_FALSE(std::isnan(mean_row(draw(crossing_curves(1)), 340, 360, true)));
  // More commands than a pipe holds at once.
  CHECK(mean_row(draw(crossing_curves(5000)), 100, 200, true) < 150);
  apps::History lost = crossing_curves(20);
  for (apps::EpochRecord& record : lost) {
    record.loss = std::numeric_limits<double>::infinity();
    record.validation_loss = std::nan("");
  }
  const vision::Image image = draw(lost);
  CHECK(std::isnan(mean_row(image, 100, 350, true)));
  CHECK_FALSE(std::isnan(mean_row(image, 740, 840, true)));
}

TEST_CASE("a gnuplot that is missing or fails leaves the old picture") {
  const TemporaryFolder folder;
  const std::string path = folder / "plot.png";
  folder.write("plot.png", "old");
  folder.write("half.sh", "#!/bin/sh\nprintf '\\211PNG\\r\\n\\032\\n'\necho 'disk on fire' >&2\n");
  fs::permissions(folder / "half.sh", fs::perms::owner_all);
  const auto message = [&](const std::string& program) {
    const Gnuplot instead(program);
    CHECK_THROWS_AS(apps::plot_history(path, crossing_curves(2)), apps::WorkError);
    return message_of([&] { apps::plot_history(path, crossing_curves(2)); });
  };
  CHECK(message("/no/gnuplot") ==
        "plot: cannot run /no/gnuplot: No such file or directory (install the package "
        "gnuplot-nox, or set GNUPLOT to the program's path)");
  CHECK(message("true") == "true failed: no picture came back");
  CHECK(message("false") == "false failed: no picture came back");
  CHECK(message(folder / "half.sh") == folder / "half.sh failed: disk on fire");
  CHECK(fs::file_size(path) == 3);
  {
    const Gnuplot instead("/no/gnuplot");
    CHECK_FALSE(apps::plot_available());
  }
  CHECK_THROWS_AS(apps::plot_history(path, {}), std::invalid_argument);
  if (gnuplot_is_missing()) return;
  const std::string nowhere = folder / "no/such/folder.png";
  CHECK(message_of([&] { apps::plot_history(nowhere, crossing_curves(2)); }).find(nowhere) == 0);
}
