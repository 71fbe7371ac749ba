// The files of a data set with boxes: which pictures and which annotations lie where, and which
// picture an annotation means.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/dataset.h"

namespace maskwatch::apps {

// What lies below a folder, to any depth; paths are relative to it and in byte order.
class BoxFiles {
 public:
  // std::runtime_error names a folder that is missing or cannot be listed.
  explicit BoxFiles(const std::string& root);

  const std::vector<std::string>& pictures() const { return pictures_; }
  const std::vector<std::string>& others() const { return others_; }
  const std::vector<SkippedFile>& skipped() const { return skipped_; }

  std::string path_of(const std::string& relative) const;

  // The picture that `annotation` (relative) calls `name`, which may lack its extension and may
  // have folders before it. Of several, the one whose folders agree best with the name, then with
  // the annotation's place; folders as "labels" and "images" count as equal. Nothing if there is
  // none or two are equally near.
  std::optional<std::string> find_picture(const std::string& annotation,
                                          const std::string& name) const;

  // The picture called as `annotation` is, but for the extension, in its folder or in one that
  // stands beside it for pictures; nothing if there is none or several.
  std::optional<std::string> picture_beside(const std::string& annotation) const;

 private:
  void walk(const std::filesystem::path& folder, const std::string& name);

  std::string root_;
  std::vector<std::string> pictures_, others_;
  std::multimap<std::string, std::string> by_name_, by_stem_;
  std::vector<SkippedFile> skipped_;
  // Folders that link to each other have more paths than anyone can walk, so each is read once, and
  // by its own path where it has one: links wait until the end.
  std::set<std::filesystem::path> walked_;
  std::vector<std::pair<std::filesystem::path, std::string>> links_;
};

// "a/b/1.jpg" to "1" and to "a/b".
std::string stem_of(const std::string& path);
std::string folder_of(const std::string& path);

}  // namespace maskwatch::apps
