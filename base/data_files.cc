#include "base/data_files.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "base/data_folders.h"  // made by meson

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

bool is_in_build_tree(const fs::path& file) {
  const fs::path tree = fs::path(kBuildTree).lexically_normal();
  const fs::path path = file.lexically_normal();
  return std::mismatch(tree.begin(), tree.end(), path.begin(), path.end()).first == tree.end();
}

std::string running_program() {
  std::error_code fault;
  const fs::path program = fs::read_symlink("/proc/self/exe", fault);
  return fault ? std::string() : program.string();
}

// The shared library that holds this code, or the program where it is linked statically; empty if
// the loader knows it by a relative path, which the current folder may have left behind.
std::string library_of_this_code() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library_of_this_code), &info) == 0) return {};
  const fs::path library = info.dli_fname ? info.dli_fname : "";
  if (!library.is_absolute()) return {};
  std::error_code fault;
  const fs::path real = fs::canonical(library, fault);
  return fault ? library.string() : real.string();
}

}  // namespace

std::vector<std::string> data_folders_of(const std::string& program, const std::string& library) {
  std::vector<std::string> folders;
  const auto add = [&](const fs::path& folder) {
    const std::string name = folder.lexically_normal().string();
    if (std::find(folders.begin(), folders.end(), name) == folders.end()) folders.push_back(name);
  };
  const auto add_beside = [&](const fs::path& folder) {
    add(folder.parent_path() / "share" / "maskwatch");
  };
  if (const char* given = std::getenv("MASKWATCH_DATA"); given != nullptr && *given != '\0')
    folders.emplace_back(given);
  if (!program.empty()) add_beside(fs::path(program).parent_path());
  if (!library.empty() && library != program) {
    const fs::path folder = fs::path(library).parent_path();
    add_beside(folder);
    add_beside(folder.parent_path());
  }
  const bool built_here = (!program.empty() && is_in_build_tree(program)) ||
                          (!library.empty() && is_in_build_tree(library));
  add(built_here ? kSourceData : kInstalledData);
  return folders;
}

std::vector<std::string> data_folders() {
  return data_folders_of(running_program(), library_of_this_code());
}

std::optional<std::string> find_data_file(const std::string& name) {
  return find_in(data_folders(), name);
}

std::string shipped_file(const std::string& what, const std::string& name) {
  if (const auto file = find_data_file(name)) return *file;
  std::string folders;
  for (const std::string& folder : data_folders())
    folders += (folders.empty() ? "" : ", ") + folder;
  throw std::runtime_error(what + ", " + name + ", is in none of " + folders +
                           " (MASKWATCH_DATA can name the folder that holds it)");
}

std::optional<std::string> find_haar_cascade(const std::string& name) {
  return find_in({"/usr/share/opencv4/haarcascades", "/usr/share/opencv/haarcascades"}, name);
}

}  // namespace maskwatch
