#include "apps/training/picture_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <string_view>

#include "apps/common/program.h"
#include "base/file.h"
#include "base/json.h"
#include "base/json_fields.h"

namespace maskwatch::apps {
namespace {

// The first few names, on one line.
std::string first_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 3;
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == kMost) return text + ", ...";
    text += (i > 0 ? ", " : "") + one_line(names[i]);
  }
  return text;
}

}  // namespace

std::string listed_name(std::string name) {
  name.erase(name.find_last_not_of(" \t\r\n\v\f") + 1);
  while (name.starts_with("./")) name.erase(0, name.find_first_not_of('/', 1));
  const bool ascii = std::all_of(name.begin(), name.end(),
                                 [](char c) { return static_cast<signed char>(c) >= 0; });
  return ascii ? name : JsonFields::parse(Json(name).dump(), "").text();
}

std::set<std::string> names_in_history(const std::string& path, const std::string& program) {
  const std::string text = read_file(path);
  std::set<std::string> names;
  try {
    for (const std::string& name : JsonFields::parse(text, path)["validation_files"].texts())
      names.insert(listed_name(name));
  } catch (const std::runtime_error& fault) {
    throw std::runtime_error(std::string(fault.what()) + " (" + program +
                             " --history writes the list \"validation_files\")");
  }
  return names;
}

std::set<std::string> names_in_list(const std::string& path) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::string text = read_file(path);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::istringstream lines(text);
  std::set<std::string> names;
  for (std::string line; std::getline(lines, line);)
    if (std::string name = listed_name(line); !name.empty()) names.insert(std::move(name));
  return names;
}

void PictureNames::add(const std::string& name, const std::string& path,
                       const std::string& origin) {
  const auto [other, added] = paths_.emplace(listed_name(name), path);
  if (!added)
    throw UsageError(
        fmt::format("{} tells pictures apart by their names, but {} and {} have the same",
                    one_line(origin), one_line(other->second), one_line(path)),
        "give the data sets one by one");
}

void PictureNames::require_all(const std::set<std::string>& names,
                               const std::string& origin) const {
  if (names.empty()) throw UsageError(one_line(origin) + ": it names no pictures");
  std::vector<std::string> missing;
  for (const std::string& name : names)
    if (!has(name)) missing.push_back(name);
  if (!missing.empty())
    throw UsageError(fmt::format("{}: {} of {} pictures that it names are not in the data set: {}",
                                 one_line(origin), missing.size(), names.size(),
                                 first_of(missing)));
}

}  // namespace maskwatch::apps
