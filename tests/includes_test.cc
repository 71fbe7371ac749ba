// Folders, and the rooms inside vision and apps, may include one another only along the arrows of
// the house (CONTRIBUTING.md).
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

using Arrows = std::map<std::string, std::vector<std::string>>;

const Arrows folders = {
    {"base", {}},
    {"kernels", {"base"}},
    {"cuda", {"kernels", "base"}},
    {"nn", {"kernels", "base"}},
    {"vision", {"nn", "kernels", "base"}},
    {"python", {"vision", "nn", "kernels", "base"}},
    {"web", {"vision", "nn", "kernels", "base"}},
    {"apps", {"vision", "nn", "kernels", "cuda", "base"}},
};

// A program lies in "apps" itself; nothing includes one.
const Arrows rooms = {
    {"vision/image", {}},
    {"vision/haar", {"vision/image"}},
    {"vision/faces", {"vision/haar", "vision/image"}},
    {"vision/masks", {"vision/faces", "vision/haar", "vision/image"}},
    {"vision/video", {"vision/image"}},
    {"vision/window", {"vision/image"}},
    {"vision/drawn", {"vision/image"}},
    {"apps/common", {}},
    {"apps/training", {"apps/common"}},
    {"apps/alerts", {"apps/common"}},
    {"apps/live", {"apps/alerts", "apps/common"}},
    {"apps/masking", {"apps/common"}},
    {"apps", {"apps/common", "apps/training", "apps/alerts", "apps/live", "apps/masking"}},
};

bool follows(const Arrows& arrows, const std::string& from, const std::string& to) {
  if (from == to) return true;
  const auto targets = arrows.find(from);
  return targets != arrows.end() &&
         std::find(targets->second.begin(), targets->second.end(), to) != targets->second.end();
}

std::string first_folder(const std::string& path) { return path.substr(0, path.find('/')); }

// "vision/faces" of "vision/faces/ssd.h", "nn/ops" of "nn/ops/conv.h"; "apps" of a program.
std::string room(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Whether the file `from` may include the file `to`; both as paths from the project root.
bool allowed(const std::string& from, const std::string& to) {
  const std::string folder = first_folder(to);
  if (!follows(folders, first_folder(from), folder)) return false;
  const bool has_rooms = folder == "vision" || folder == "apps";
  return !has_rooms || folder != first_folder(from) || follows(rooms, room(from), room(to));
}

// The file that an include line written from the project root names; empty for other lines.
std::string included_file(const std::string& line) {
  const std::string directive = "#include \"";
  const std::size_t begin = line.find(directive);
  if (begin == std::string::npos) return {};
  const std::size_t name = begin + directive.size();
  const std::string file = line.substr(name, line.find('"', name) - name);
  return file.find('/') == std::string::npos ? std::string() : file;
}

bool is_source(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cc" || extension == ".cu" || extension == ".cuh";
}

// Lines "file: include" that run against the arrows.
std::vector<std::string> wrong_includes(const std::string& folder, int& includes_seen) {
  std::vector<std::string> wrong;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || !is_source(entry.path())) continue;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      const std::string to = included_file(line);
      if (to.empty()) continue;
      ++includes_seen;
      const bool ours = std::filesystem::is_directory(first_folder(to));
      if (ours && !allowed(entry.path().generic_string(), to))
        wrong.push_back(entry.path().string() + ": " + line);
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("arrows between folders and rooms: what is allowed and what is not") {
  CHECK(allowed("nn/plan.cc", "kernels/table.h"));
  CHECK(allowed("kernels/gemm.cc", "base/parallel.h"));
  CHECK(allowed("apps/train_mask_detector.cc", "cuda/device.h"));
  CHECK_FALSE(allowed("base/file.cc", "kernels/table.h"));
  CHECK_FALSE(allowed("kernels/gemm.cc", "nn/plan.h"));
  CHECK_FALSE(allowed("nn/plan.cc", "cuda/device.h"));
  CHECK_FALSE(allowed("nn/plan.cc", "vision/image/image.h"));
  CHECK_FALSE(allowed("vision/image/image.cc", "tests/check.h"));

  CHECK(allowed("vision/masks/tracker.cc", "vision/faces/ssd.h"));
  CHECK(allowed("vision/faces/ssd.cc", "vision/faces/ssd.h"));
  CHECK(allowed("apps/live/alert.cc", "vision/masks/tracker.h"));
  CHECK(allowed("apps/draw_faces.cc", "apps/common/program.h"));
  CHECK_FALSE(allowed("vision/faces/ssd.cc", "vision/masks/tracker.h"));
  CHECK_FALSE(allowed("vision/video/video_source.cc", "vision/window/sdl_window.h"));
  CHECK_FALSE(allowed("apps/common/files.cc", "apps/training/split.h"));
  CHECK_FALSE(allowed("apps/live/alert.cc", "apps/training/split.h"));
  CHECK_FALSE(allowed("vision/image/image.cc", "vision/new_room/thing.h"));

  CHECK(included_file("#include \"vision/image/image.h\"") == "vision/image/image.h");
  CHECK(included_file("#include <vector>").empty());
}

TEST_CASE("nn/ops.h includes every family of operations") {
  std::ifstream file("nn/ops.h");
  std::vector<std::string> included;
  for (std::string line; std::getline(file, line);) included.push_back(included_file(line));
  int families = 0;
  for (const auto& entry : std::filesystem::directory_iterator("nn/ops")) {
    const std::string path = entry.path().generic_string();
    if (entry.path().extension() != ".h" || path == "nn/ops/check.h") continue;
    ++families;
    CAPTURE(path);
    CHECK(std::find(included.begin(), included.end(), path) != included.end());
  }
  CHECK(families > 5);
}

TEST_CASE("no file includes against the arrows") {
  int includes_seen = 0;
  for (const auto& [folder, targets] : folders) {
    if (!std::filesystem::is_directory(folder)) continue;
    for (const std::string& line : wrong_includes(folder, includes_seen)) FAIL_CHECK(line);
  }
  CHECK(includes_seen > 10);  // or the working directory is not the project root
}
