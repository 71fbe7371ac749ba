#include "base/data_files.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/data_folders.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;
using namespace nn_test;

namespace {

namespace fs = std::filesystem;
using Folders = std::vector<std::string>;

// MASKWATCH_DATA with this value, unset if it is null, until the end of the scope.
class DataVariable {
 public:
  explicit DataVariable(const char* value) {
    if (const char* before = std::getenv("MASKWATCH_DATA")) before_ = before;
    set(value);
  }
  ~DataVariable() { set(before_ ? before_->c_str() : nullptr); }

 private:
  static void set(const char* value) {
    if (value)
      setenv("MASKWATCH_DATA", value, 1);
    else
      unsetenv("MASKWATCH_DATA");
  }
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("an installed program: beside it, then the configured prefix, never the source tree") {
  const DataVariable none(nullptr);
  CHECK(data_folders_of("/opt/mw/bin/detect", "") ==
        Folders{"/opt/mw/share/maskwatch", "/opt/mw/maskwatch", kInstalledData});
  CHECK(data_folders_of("/opt/mw/bin/detect", "/opt/mw/bin/detect") ==
        Folders{"/opt/mw/share/maskwatch", "/opt/mw/maskwatch", kInstalledData});
}

TEST_CASE("a library in another program: beside the library, beside the program, the prefix") {
  const DataVariable none(nullptr);
  CHECK(data_folders_of("/usr/bin/python3", "/opt/mw/lib/x86_64-linux-gnu/libmaskwatch.so") ==
        Folders{"/opt/mw/lib/share/maskwatch", "/opt/mw/share/maskwatch", "/usr/share/maskwatch",
                "/usr/maskwatch", kInstalledData});
  CHECK(data_folders_of("", "/opt/mw/lib/libmaskwatch.so") ==
        Folders{"/opt/mw/share/maskwatch", "/opt/share/maskwatch", kInstalledData});
  CHECK(data_folders_of("", "") == Folders{kInstalledData});
}

TEST_CASE("what runs from the build tree takes the source tree's data and no installed") {
  const DataVariable none(nullptr);
  const std::string tree = kBuildTree;
  CHECK(data_folders_of(tree + "/apps/detect", "") == Folders{kSourceData});
  CHECK(data_folders_of(tree + "/apps/detect", "/opt/mw/lib/libmaskwatch.so") ==
        Folders{kSourceData});
  CHECK(data_folders_of("/usr/bin/python3", tree + "/python/maskwatch.so") == Folders{kSourceData});
  CHECK(data_folders_of(tree + "2/apps/detect", "").back() == kInstalledData);
  CHECK(data_folders_of(tree + "/../elsewhere/detect", "").back() == kInstalledData);
  const DataVariable given("/given");
  CHECK(data_folders_of(tree + "/apps/detect", "") == Folders{"/given", kSourceData});
}

TEST_CASE("a link to the build tree leads into it") {
  const DataVariable none(nullptr);
  const TemporaryFolder folder;
  fs::create_directory_symlink(kBuildTree, folder.file("link"));
  CHECK(data_folders_of(folder.file("link/apps/detect"), "") == Folders{kSourceData});
}

TEST_CASE("an install that was staged in the build tree does not read the source tree") {
  const DataVariable none(nullptr);
  const std::string stage = std::string(kBuildTree) + "/staged_" + std::to_string(getpid());
  const std::string data = stage + "/share/maskwatch";
  fs::create_directories(data);
  CHECK(data_folders_of(stage + "/bin/detect", "") ==
        Folders{data, stage + "/maskwatch", kInstalledData});
  CHECK(data_folders_of("/usr/bin/python3", stage + "/lib/libmaskwatch.so") ==
        Folders{data, std::string(kBuildTree) + "/share/maskwatch", "/usr/share/maskwatch",
                "/usr/maskwatch", kInstalledData});
  fs::remove_all(stage);
}

TEST_CASE("MASKWATCH_DATA comes first; empty, it counts for unset") {
  const DataVariable given("/given");
  CHECK(data_folders_of("/opt/mw/bin/detect", "").front() == "/given");
  const DataVariable empty("");
  CHECK(data_folders_of("/opt/mw/bin/detect", "").front() == "/opt/mw/share/maskwatch");
}

TEST_CASE("a file is found in the first folder that has it; a folder of its name is no file") {
  const TemporaryFolder folder;
  const DataVariable given(folder.file("").c_str());
  CHECK(find_data_file("models/no_such_model") == std::nullopt);
  CHECK_THROWS_WITH_AS(shipped_file("a model", "models/no_such_model"),
                       doctest::Contains("a model, models/no_such_model, is in none of"),
                       std::runtime_error);
  fs::create_directories(folder.file("models/mask_detector.safetensors"));
  CHECK(find_data_file("models/mask_detector.safetensors") ==
        std::string(kSourceData) + "/models/mask_detector.safetensors");
  fs::remove(folder.file("models/mask_detector.safetensors"));
  write(folder.file("models/mask_detector.safetensors"), "model");
  CHECK(find_data_file("models/mask_detector.safetensors") ==
        folder.file("models/mask_detector.safetensors"));
  CHECK(shipped_file("a model", "models/mask_detector.safetensors") ==
        folder.file("models/mask_detector.safetensors"));
}

TEST_CASE("a folder that was added comes last") {
  const TemporaryFolder folder;
  write(folder.file("a_file_of_this_test"), "here");
  CHECK(find_data_file("a_file_of_this_test") == std::nullopt);
  add_data_folder(folder.file(""));
  CHECK(find_data_file("a_file_of_this_test") == folder.file("a_file_of_this_test"));
  CHECK(data_folders().back() == folder.file(""));
}

// Run by the next test in a copy of this program that lies elsewhere.
TEST_CASE("the probe of an installed copy" * doctest::skip()) {
  const char* expected = std::getenv("EXPECTED_PROBE");
  REQUIRE(expected != nullptr);
  CHECK(find_data_file("probe") == std::string(expected));
  CHECK(find_data_file("models/mask_detector.safetensors") == std::nullopt);
}

TEST_CASE("a program that was moved finds what lies beside it, from any current folder") {
  const DataVariable none(nullptr);
  const TemporaryFolder folder;
  fs::create_directories(folder.file("bin"));
  fs::create_directories(folder.file("share/maskwatch"));
  fs::copy_file("/proc/self/exe", folder.file("bin/program"));
  write(folder.file("share/maskwatch/probe"), "here");
  const std::string probe = fs::canonical(folder.file("share/maskwatch/probe")).string();
  const auto run = [&](const std::string& expected) {
    const std::string command = "cd / && EXPECTED_PROBE='" + expected + "' '" +
                                folder.file("bin/program") +
                                "' --no-skip --test-case='the probe of*' > /dev/null";
    return std::system(command.c_str());
  };
  CHECK(run(probe) == 0);
  CHECK(run("/elsewhere") != 0);
}
