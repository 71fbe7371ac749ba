// Decoding a data set into memory: pixels, broken files, limits.
#include "apps/training/load_images.h"

#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <stdexcept>

#include "tests/apps/temporary_folder.h"
#include "tests/kernels/thread_communicator.h"
#include "vision/image/image.h"

using namespace maskwatch;

namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_of(const apps::Dataset& dataset) {
  std::vector<std::string> names;
  for (const apps::DatasetImage& image : dataset.images) names.push_back(image.name);
  return names;
}

// A plain picture of one colour, saved for load_images to find.
void write_picture(const std::string& path, int edge, std::uint8_t red) {
  fs::create_directories(fs::path(path).parent_path());
  vision::Image image(edge, edge);
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = red;
  vision::save_image(path, image);
}

}  // namespace

TEST_CASE("loading decodes, scales, and drops what is broken by name") {
  const TemporaryFolder folder;
  write_picture(folder / "with/1.png", 20, 50);
  folder.write("with/2.png", "not a picture");
  write_picture(folder / "with/3.png", 31, 150);
  write_picture(folder / "without/1.png", 8, 250);
  folder.write("without/0.jpg", "");
  const apps::Dataset dataset = apps::scan_dataset({folder.path()});
  REQUIRE(dataset.images.size() == 5);

  std::vector<std::int64_t> steps;
  apps::LoadOptions options;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    CHECK(total == 5);
    steps.push_back(done);
  };
  const apps::LoadedDataset loaded = apps::load_images(dataset, 16, options);
  CHECK(steps == std::vector<std::int64_t>{1, 2, 3, 4, 5});
  CHECK(names_of(loaded.dataset) ==
        std::vector<std::string>{"with/1.png", "with/3.png", "without/1.png"});
  CHECK(loaded.dataset.images[2].group == 2);
  CHECK(apps::class_counts(loaded.dataset) == std::vector<std::int64_t>{2, 1});
  REQUIRE(loaded.pixels.size() == 3 * 16 * 16 * 3);
  const int reds[] = {50, 150, 250};
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 16 * 16 * 3; ++k) CHECK(loaded.image(i)[k] == (k % 3 == 0 ? reds[i] : 0));
  }
  REQUIRE(loaded.broken.size() == 2);
  CHECK(loaded.broken[0].path == folder / "with/2.png");
  CHECK(loaded.broken[0].reason.find(folder / "with/2.png") != std::string::npos);
  CHECK(loaded.broken[1].path == folder / "without/0.jpg");

  options.progress = [](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); };
  CHECK(message_of([&] { apps::load_images(dataset, 16, options); }) == "stop");
}

TEST_CASE("ranks that share the decoding out get what one process gets") {
  const TemporaryFolder folder;
  for (int i = 0; i < 7; ++i)
    write_picture(folder / ((i < 4 ? "with/" : "without/") + std::to_string(i) + ".png"), 9 + i,
                  static_cast<std::uint8_t>(20 * i));
  folder.write("with/2.png", "not a picture");
  folder.write("without/6.png", "nor this");
  const apps::Dataset dataset = apps::scan_dataset({folder.path()});
  const apps::LoadedDataset expected = apps::load_images(dataset, 16);
  REQUIRE(expected.broken.size() == 2);
  for (const int ranks : {1, 2, 3, 9}) {  // some of nine have nothing to do
    CAPTURE(ranks);
    std::atomic<int> same{0};
    on_threads(ranks, [&](kernels::Communicator& communicator) {
      apps::LoadOptions options;
      options.communicator = &communicator;
      const apps::LoadedDataset loaded = apps::load_images(dataset, 16, options);
      same += loaded.pixels == expected.pixels &&
                      names_of(loaded.dataset) == names_of(expected.dataset) &&
                      loaded.broken.size() == 2 &&
                      loaded.broken[1].reason == expected.broken[1].reason
                  ? 1
                  : 0;
    });
    CHECK(same == ranks);
  }
}

TEST_CASE("loading keeps to its memory and needs every class") {
  const TemporaryFolder folder;
  write_picture(folder / "with/1.png", 4, 1);
  folder.write("without/1.png", "broken");
  const apps::Dataset dataset = apps::scan_dataset({folder.path()});
  CHECK(message_of([&] {
          apps::load_images(dataset, 16);
        }).find("class 'without' has no readable picture: " + folder / "without/1.png") == 0);
  write_picture(folder / "without/1.png", 4, 2);
  apps::LoadOptions options;
  options.memory_limit = 2 * 16 * 16 * 3;
  CHECK(apps::load_images(dataset, 16, options).pixels.size() == options.memory_limit);
  options.memory_limit -= 1;
  CHECK_THROWS_AS(apps::load_images(dataset, 16, options), std::runtime_error);
  CHECK(message_of([&] { apps::load_images(dataset, 2147483647); }).find("GB of memory") !=
        std::string::npos);
  CHECK_THROWS_AS(apps::load_images(dataset, 0), std::invalid_argument);
}
