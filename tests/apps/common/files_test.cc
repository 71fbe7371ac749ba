// Outputs that are also inputs, and outputs that cannot be written.
#include "apps/common/files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "apps/common/program.h"
#include "base/file.h"
#include "tests/apps/temporary_folder.h"

using namespace maskwatch;

TEST_CASE("what a program writes is kept apart from what it reads") {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return folder / name; };
  write_file_atomically(path("film.mp4"), "film");
  std::filesystem::create_hard_link(path("film.mp4"), path("link.mp4"));
  std::filesystem::create_symlink(folder.path(), path("here"));
  const auto clash = [&](const std::string& output, const std::string& other) {
    try {
      apps::check_outputs({{"--out", output}}, {{"the film", other}, {"nothing", ""}});
      apps::check_outputs({{"--none", ""}, {"--out", output}, {"--more", other}}, {});
      return std::string();
    } catch (const std::runtime_error& error) {
      return std::string(error.what());
    }
  };
  CHECK(clash(path("film.mp4"), path("./film.mp4")) ==
        "--out " + path("film.mp4") + ": the same file as the film");
  CHECK(!clash(path("link.mp4"), path("film.mp4")).empty());
  CHECK(!clash(path("here/film.mp4"), path("film.mp4")).empty());
  CHECK(!clash(path("new.mp4"), path("here/new.mp4")).empty());
  CHECK(clash(path("film.mp4"), path("new.mp4")).empty());
  CHECK(clash("/dev/null", "/dev/null").empty());
  CHECK_THROWS_AS(apps::check_outputs({{"--a", path("new")}, {"--b", path("new")}}, {}),
                  std::runtime_error);
}

TEST_CASE("where a file cannot be made is said before the work") {
  const TemporaryFolder folder;
  folder.write("file", "");
  CHECK(message_of([&] { apps::require_writable(folder / "new"); }) == "");
  CHECK(message_of([&] { apps::require_writable(""); }) == "an output has an empty name");
  CHECK(message_of([&] { apps::require_writable(folder.path()); }) ==
        "cannot write " + folder.path() + ": it is a folder");
  CHECK(message_of([&] { apps::require_writable(folder / "no/new"); }) ==
        "cannot write " + folder / "no/new: there is no folder " + folder / "no (make it first)");
  // Whoever may not write in /dev may still write to what lies there.
  CHECK(message_of([&] { apps::require_writable("/dev/null"); }) == "");
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::filesystem::create_directory(folder / "elsewhere");
  std::filesystem::create_symlink(folder / "file", folder / "elsewhere/link");
  std::filesystem::create_symlink(folder / "pipe", folder / "elsewhere/to the pipe");
  std::filesystem::permissions(folder / "elsewhere", std::filesystem::perms::owner_read |
                                                         std::filesystem::perms::owner_exec);
  if (geteuid() == 0) {
    MESSAGE("SKIPPED, NOT TESTED: a folder without the right to write, which root has everywhere");
  } else {
    CHECK(message_of([&] { apps::require_writable(folder / "elsewhere/new"); }) ==
          "cannot write " + folder / "elsewhere/new: permission denied in " + folder / "elsewhere");
    CHECK(message_of([&] { apps::require_writable(folder / "elsewhere/link"); }) == "");
    CHECK(message_of([&] { apps::require_writable(folder / "elsewhere/to the pipe"); }) == "");
  }
  std::filesystem::permissions(folder / "elsewhere", std::filesystem::perms::owner_all);
}

TEST_CASE("where a new folder cannot be made is said before the work") {
  const TemporaryFolder folder;
  folder.write("file", "");
  std::filesystem::create_directory(folder / "empty");
  const auto said = [&](const std::string& name) {
    return message_of([&] { apps::require_new_folder(folder / name); });
  };
  CHECK(said("new") == "");
  CHECK(said("deep/down/new") == "");
  CHECK(said("empty") == "");
  CHECK(message_of([] { apps::require_new_folder("new"); }) == "");
  CHECK(said("file").starts_with(folder / "file: exists and is not an empty folder"));
  CHECK(said("file/new") ==
        "cannot make " + folder / "file/new: " + folder / "file is not a folder");
  if (geteuid() == 0) {
    MESSAGE("SKIPPED, NOT TESTED: a folder without the right to write, which root has everywhere");
    return;
  }
  std::filesystem::permissions(
      folder / "empty", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  CHECK(said("empty/new") ==
        "cannot make " + folder / "empty/new: permission denied in " + folder / "empty");
  std::filesystem::permissions(folder / "empty", std::filesystem::perms::owner_all);
}

TEST_CASE("a file of the data set is not written over, under whatever name") {
  const TemporaryFolder folder;
  folder.write("data/1.jpg", "picture");
  std::filesystem::create_symlink(folder / "data/1.jpg", folder / "link.jpg");
  const std::vector<std::string> files{folder / "data/1.jpg"};
  for (const char* output : {"data/1.jpg", "data/../data/1.jpg", "link.jpg"})
    CHECK_THROWS_AS(apps::require_apart({{"--plot", folder / output}}, files), apps::UsageError);
  CHECK_NOTHROW(apps::require_apart({{"--plot", folder / "data/2.jpg"}, {"--none", ""}}, files));
}

TEST_CASE("pictures are written as .png, .jpg or .jpeg, in any case") {
  for (const char* path : {"a.png", "b.JPG", "c.d/e.jpeg", ""})
    CHECK_NOTHROW(apps::require_picture("--plot", path));
  for (const char* path : {"a.svg", "a", "a.bmp", "png", "a.png.gif"})
    CHECK_THROWS_AS(apps::require_picture("--plot", path), apps::UsageError);
}
