#include "apps/training/names_in_history.h"

#include "base/file.h"
#include "base/json_fields.h"

namespace maskwatch::apps {

std::set<std::string> names_in_history(const std::string& path, const std::string& program) {
  const std::string text = read_file(path);
  try {
    const auto names = JsonFields::parse(text, path)["validation_files"].texts();
    return {names.begin(), names.end()};
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(std::string(fault.what()) + " (" + program +
                             " --history writes the list \"validation_files\")");
  }
}

}  // namespace maskwatch::apps
