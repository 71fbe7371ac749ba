// The files that say what the numbers of YOLO's classes mean: classes.txt, *.names, data.yaml.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace maskwatch::apps {

class ClassNames {
 public:
  // By its name alone.
  static bool is_names_file(const std::string& file);

  // `file`: relative to the data set; `path` opens it. FormatError for one that holds no names.
  void add(const std::string& file, const std::string& path, std::string_view text);

  // What holds for the annotation `file`: of each number the name in the nearest folder above it;
  // where there are names in one other folder only, those. UsageError for two files that call the
  // same number differently: nobody can tell which of them the annotations were made with.
  std::vector<std::string> names_for(const std::string& file) const;

 private:
  struct List {
    std::string path;
    std::vector<std::string> names;
  };
  std::map<std::string, std::vector<List>> lists_;  // of the folder where they stand
};

}  // namespace maskwatch::apps
