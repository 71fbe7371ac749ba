// Lists of pictures by their names, which are paths below the data set: those that a training run
// was validated on, and those that people write.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace maskwatch::apps {

// As lists have a name: without "./" before it and blanks behind it, and what is no UTF-8 as JSON
// writes it. So a name that JSON cannot keep is found again, unless another becomes the same.
std::string listed_name(std::string name);

// The list "validation_files" of the JSON that `program` --history wrote. Throws
// std::runtime_error, which names file and place, for a file that cannot be read or has no such
// list of texts.
std::set<std::string> names_in_history(const std::string& path, const std::string& program);

// The lines of a text file that are not empty; a byte order mark is left out. Throws
// std::runtime_error for a file that cannot be read.
std::set<std::string> names_in_list(const std::string& path);

// Whether lists of names can say which pictures of a data set they mean.
class PictureNames {
 public:
  // Throws UsageError, which begins with `origin` (the list), for two pictures of one name.
  template <typename Picture>
  PictureNames(const std::vector<Picture>& pictures, const std::string& origin) {
    for (const Picture& picture : pictures) add(picture.name, picture.path, origin);
  }

  bool has(const std::string& listed) const { return paths_.contains(listed); }

  // Throws UsageError, which begins with `origin`, for an empty list and for names that no picture
  // has.
  void require_all(const std::set<std::string>& names, const std::string& origin) const;

 private:
  void add(const std::string& name, const std::string& path, const std::string& origin);

  std::map<std::string, std::string> paths_;  // by listed name
};

template <typename Picture>
void require_different_names(const std::vector<Picture>& pictures, const std::string& origin) {
  const PictureNames names(pictures, origin);
}

// For each picture whether the list, which was read from `origin`, names it. Throws as PictureNames
// and its require_all().
template <typename Picture>
std::vector<bool> in_list(const std::vector<Picture>& pictures, const std::set<std::string>& names,
                          const std::string& origin) {
  PictureNames(pictures, origin).require_all(names, origin);
  std::vector<bool> named;
  for (const Picture& picture : pictures)
    named.push_back(names.contains(listed_name(picture.name)));
  return named;
}

}  // namespace maskwatch::apps
