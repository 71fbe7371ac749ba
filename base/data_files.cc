#include "base/data_files.h"

#include <cstdlib>
#include <filesystem>

#include "base/data_folders.h"  // made by meson: the source tree's and the installed data folder

namespace maskwatch {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> find_in(const std::vector<std::string>& folders,
                                   const std::string& name) {
  for (const std::string& folder : folders) {
    const fs::path path = fs::path(folder) / name;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path.string();
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> data_folders() {
  std::vector<std::string> folders;
  if (const char* given = std::getenv("MASKWATCH_DATA"); given != nullptr && *given != '\0')
    folders.emplace_back(given);
  folders.emplace_back(kSourceData);
  std::error_code fault;
  const fs::path program = fs::read_symlink("/proc/self/exe", fault);
  if (!fault) {
    const fs::path beside = program.parent_path().parent_path() / "share" / "maskwatch";
    folders.push_back(beside.string());
  }
  folders.emplace_back(kInstalledData);
  return folders;
}

std::optional<std::string> find_data_file(const std::string& name) {
  return find_in(data_folders(), name);
}

std::optional<std::string> find_haar_cascade(const std::string& name) {
  return find_in({"/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades"}, name);
}

}  // namespace maskwatch
