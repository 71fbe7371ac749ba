#include "apps/training/boxes_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "apps/common/program.h"
#include "apps/training/boxes_files.h"
#include "apps/training/boxes_yolo.h"
#include "vision/image/picture_kinds.h"

namespace maskwatch::apps {

bool ClassNames::is_names_file(const std::string& file) {
  const std::string extension = vision::lower_case_extension(file);
  return std::filesystem::path(file).filename() == "classes.txt" || extension == ".names" ||
         extension == ".yaml" || extension == ".yml";
}

void ClassNames::add(const std::string& file, const std::string& path, std::string_view text) {
  const bool yaml = vision::lower_case_extension(file).starts_with(".y");
  std::vector<std::string> names = yaml ? parse_yaml_names(text) : parse_class_list(text);
  lists_[folder_of(file)].push_back({path, std::move(names)});
}

std::vector<std::string> ClassNames::names_for(const std::string& file) const {
  std::vector<const List*> lists;  // the nearest first
  const auto take = [&](const std::vector<List>& more) {
    for (const List& list : more) lists.push_back(&list);
  };
  for (std::string folder = folder_of(file);; folder = folder_of(folder)) {
    if (const auto found = lists_.find(folder); found != lists_.end()) take(found->second);
    if (folder.empty()) break;
  }
  if (lists.empty() && lists_.size() == 1) take(lists_.begin()->second);
  std::vector<std::string> names;
  std::vector<const List*> origins;  // of each name
  for (const List* list : lists) {
    names.resize(std::max(names.size(), list->names.size()));
    origins.resize(names.size(), nullptr);
    for (std::size_t i = 0; i < list->names.size(); ++i) {
      const std::string& name = list->names[i];
      if (name.empty() || name == names[i]) continue;
      if (!names[i].empty())
        throw UsageError(fmt::format("{} and {} contradict each other: class {} is called {} in "
                                     "the first, {} in the second",
                                     origins[i]->path, list->path, i, names[i], name),
                         "keep the one that the annotations were made with");
      names[i] = name;
      origins[i] = list;
    }
  }
  return names;
}

}  // namespace maskwatch::apps
