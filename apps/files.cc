#include "apps/files.h"

#include <unistd.h>

#include <filesystem>

#include "apps/program.h"

namespace apps {

void require_writable(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (path.empty()) throw UsageError("an output has an empty name");
  if (fs::is_directory(path, ignored))
    throw UsageError("cannot write " + path + ": it is a folder");
  const fs::path parent = fs::path(path).parent_path();
  const fs::path folder = parent.empty() ? fs::path(".") : parent;
  if (!fs::is_directory(folder, ignored))
    throw UsageError("cannot write " + path + ": there is no folder " + folder.string(),
                     "make it first");
  if (access(folder.c_str(), W_OK) != 0)
    throw UsageError("cannot write " + path + ": no right to write in " + folder.string());
}

}  // namespace apps
