// Folders may include one another only along the arrows of the house: kernels <- nn <- vision <-
// apps, with cuda beside nn.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

const std::map<std::string, std::vector<std::string>> may_include = {
    {"kernels", {}},
    {"cuda", {"kernels"}},
    {"nn", {"kernels"}},
    {"vision", {"nn", "kernels"}},
    {"apps", {"vision", "nn", "kernels", "cuda"}},
};

bool allowed(const std::string& from, const std::string& to) {
  const std::vector<std::string>& targets = may_include.at(from);
  return from == to || std::find(targets.begin(), targets.end(), to) != targets.end();
}

// Folder that an include line written from the project root leads to; empty for other lines.
std::string included_folder(const std::string& line) {
  const std::size_t directive = line.find("#include \"");
  if (directive == std::string::npos) return {};
  const std::size_t begin = directive + std::string("#include \"").size();
  const std::size_t slash = line.find('/', begin);
  return slash == std::string::npos ? std::string() : line.substr(begin, slash - begin);
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
      const std::string to = included_folder(line);
      if (to.empty()) continue;
      ++includes_seen;
      const bool ours = std::filesystem::is_directory(to);
      if (ours && (!may_include.contains(to) || !allowed(folder, to)))
        wrong.push_back(entry.path().string() + ": " + line);
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("arrows between folders: what is allowed and what is not") {
  CHECK(allowed("nn", "kernels"));
  CHECK(allowed("vision", "vision"));
  CHECK(allowed("apps", "cuda"));
  CHECK_FALSE(allowed("kernels", "nn"));
  CHECK_FALSE(allowed("nn", "cuda"));
  CHECK_FALSE(allowed("nn", "vision"));
  CHECK(included_folder("#include \"vision/image/image.h\"") == "vision");
  CHECK(included_folder("#include <vector>").empty());
}

TEST_CASE("no file includes against the arrows") {
  int includes_seen = 0;
  for (const auto& [folder, targets] : may_include) {
    if (!std::filesystem::is_directory(folder)) continue;
    for (const std::string& line : wrong_includes(folder, includes_seen)) FAIL_CHECK(line);
  }
  CHECK(includes_seen > 10);  // or the working directory is not the project root
}
