#include "base/data_files.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stdexcept>

#include "base/data_folders.h"  // made by meson

namespace maskwatch {
namespace {

namespace fs = std::filesystem;

// Without links in its path, as the system names the running program.
fs::path without_links(const fs::path& path) {
  std::error_code fault;
  const fs::path real = fs::weakly_canonical(path, fault);
  return fault ? path.lexically_normal() : real;
}

bool is_in_build_tree(const fs::path& file) {
  const fs::path tree = without_links(kBuildTree), path = without_links(file);
  return std::mismatch(tree.begin(), tree.end(), path.begin(), path.end()).first == tree.end();
}

// Where an install that this program or library belongs to would have put the data.
std::vector<std::string> folders_beside_program(const fs::path& program) {
  const fs::path above = program.parent_path().parent_path();
  return {(above / "share" / "maskwatch").string(), (above / "maskwatch").string()};
}

std::vector<std::string> folders_beside_library(const fs::path& library) {
  const fs::path above = library.parent_path().parent_path();
  return {(above / "share" / "maskwatch").string(),
          (above.parent_path() / "share" / "maskwatch").string()};
}

// In the build tree, and not part of an install that was staged there.
bool is_build_product(const fs::path& file, const std::vector<std::string>& beside) {
  return is_in_build_tree(file) && std::none_of(beside.begin(), beside.end(), [](const auto& f) {
           std::error_code ignored;
           return is_in_build_tree(f) && fs::is_directory(f, ignored);
         });
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

std::mutex added_mutex;
std::vector<std::string>& added_folders() {
  static std::vector<std::string> folders;
  return folders;
}

}  // namespace

std::vector<std::string> data_folders_of(const std::string& program, const std::string& library) {
  std::vector<std::string> folders, beside_library, beside_program;
  if (const char* given = std::getenv("MASKWATCH_DATA"); given != nullptr && *given != '\0')
    folders.emplace_back(given);
  if (!library.empty() && library != program) beside_library = folders_beside_library(library);
  if (!program.empty()) beside_program = folders_beside_program(program);
  if ((!program.empty() && is_build_product(program, beside_program)) ||
      (!library.empty() && library != program && is_build_product(library, beside_library))) {
    folders.emplace_back(kSourceData);
    return folders;
  }
  const auto add = [&](const std::vector<std::string>& more) {
    for (const std::string& folder : more)
      if (std::find(folders.begin(), folders.end(), folder) == folders.end())
        folders.push_back(folder);
  };
  add(beside_library);
  add(beside_program);
  add({kInstalledData});
  return folders;
}

std::vector<std::string> data_folders() {
  std::vector<std::string> folders = data_folders_of(running_program(), library_of_this_code());
  const std::lock_guard lock(added_mutex);
  folders.insert(folders.end(), added_folders().begin(), added_folders().end());
  return folders;
}

void add_data_folder(const std::string& folder) {
  const std::lock_guard lock(added_mutex);
  added_folders().push_back(folder);
}

std::optional<std::string> find_data_file(const std::string& name) {
  for (const std::string& folder : data_folders()) {
    const fs::path path = fs::path(folder) / name;
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path.string();
  }
  return std::nullopt;
}

std::string shipped_file(const std::string& what, const std::string& name) {
  if (const auto file = find_data_file(name)) return *file;
  std::string folders;
  for (const std::string& folder : data_folders())
    folders += (folders.empty() ? "" : ", ") + folder;
  throw std::runtime_error(what + ", " + name + ", is in none of " + folders +
                           " (MASKWATCH_DATA can name the folder that holds it)");
}

}  // namespace maskwatch
