#include "apps/common/files.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "apps/common/program.h"
#include "vision/image/image.h"

namespace maskwatch::apps {

namespace fs = std::filesystem;

namespace {

bool same_file(const std::string& one, const std::string& other) {
  std::error_code fault;
  if (fs::exists(one, fault) && fs::exists(other, fault))
    return fs::is_regular_file(one, fault) && fs::equivalent(one, other, fault);
  return fs::weakly_canonical(one, fault) == fs::weakly_canonical(other, fault);
}

}  // namespace

void require_writable(const std::string& path) {
  std::error_code ignored;
  if (path.empty()) throw std::runtime_error("an output has an empty name");
  if (fs::is_directory(path, ignored))
    throw std::runtime_error("cannot write " + path + ": it is a folder");
  // Files are replaced, for which their folder must be open; devices and pipes are written as they
  // are.
  const bool exists = fs::exists(path, ignored);
  if (exists && !fs::is_regular_file(path, ignored)) {
    if (access(path.c_str(), W_OK) != 0)
      throw std::runtime_error("cannot write " + path + ": permission denied");
    return;
  }
  const fs::path parent = (exists ? fs::canonical(path, ignored) : fs::path(path)).parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  if (!fs::is_directory(folder, ignored))
    throw std::runtime_error("cannot write " + path + ": there is no folder " + folder.string() +
                             " (make it first)");
  if (access(folder.c_str(), W_OK) != 0)
    throw std::runtime_error("cannot write " + path + ": permission denied in " + folder.string());
}

void require_new_folder(const std::string& path) {
  std::error_code error;
  if (fs::exists(path, error) && !(fs::is_directory(path, error) && fs::is_empty(path, error)))
    throw std::runtime_error(path +
                             ": exists and is not an empty folder (name a new one, so that no "
                             "older pictures mix with the new ones)");
  fs::path above = fs::absolute(path, error);
  while (above.has_relative_path() && !fs::exists(above, error)) above = above.parent_path();
  if (!fs::is_directory(above, error))
    throw std::runtime_error("cannot make " + path + ": " + above.string() + " is not a folder");
  if (access(above.c_str(), W_OK) != 0)
    throw std::runtime_error("cannot make " + path + ": permission denied in " + above.string());
}

void require_outside(const std::string& output, const std::vector<std::string>& folders) {
  std::error_code fault;
  const fs::path place = fs::weakly_canonical(output, fault);
  for (const std::string& folder : folders) {
    if (!fs::is_directory(folder, fault)) continue;
    const fs::path around = fs::canonical(folder, fault);
    if (std::mismatch(around.begin(), around.end(), place.begin(), place.end()).first ==
        around.end())
      throw UsageError(
          "--output " + output + ": lies in " + folder + ", and would be part of it the next time",
          "name a folder outside");
  }
}

void require_picture(const std::string& option, const std::string& path) {
  if (!path.empty() && !vision::is_writable_picture(path))
    throw UsageError(option + " " + path + ": pictures are written as .png, .jpg or .jpeg");
}

void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs) {
  std::vector<NamedFile> others = inputs;
  for (const NamedFile& output : outputs) {
    if (output.path.empty()) continue;
    require_writable(output.path);
    for (const NamedFile& other : others)
      if (!other.path.empty() && same_file(output.path, other.path))
        throw std::runtime_error(output.name + " " + output.path + ": the same file as " +
                                 other.name);
    others.push_back({"what " + output.name + " writes", output.path});
  }
}

void require_apart(const std::vector<NamedFile>& outputs, const std::vector<std::string>& files) {
  std::error_code fault;
  std::map<fs::path, const NamedFile*> existing;
  for (const NamedFile& output : outputs)
    if (!output.path.empty() && fs::is_regular_file(output.path, fault))
      existing[fs::canonical(output.path, fault)] = &output;
  if (existing.empty()) return;
  for (const std::string& file : files)
    if (const auto found = existing.find(fs::canonical(file, fault)); found != existing.end())
      throw UsageError(found->second->name + " " + found->second->path +
                           ": would be written over, but it is a file of the data set",
                       "name another");
}

}  // namespace maskwatch::apps
