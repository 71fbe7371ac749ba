// Where programs write, checked before the work begins rather than after.
#pragma once

#include <string>
#include <vector>

namespace maskwatch::apps {

// Throws std::runtime_error unless a file can be made at `path`: its folder exists and takes one,
// and `path` is not a folder.
void require_writable(const std::string& path);

// Throws std::runtime_error if `path` exists and is anything but an empty folder.
void require_new_folder(const std::string& path);

struct NamedFile {
  std::string name;  // as the user knows it: "--record", "the source"
  std::string path;  // empty: there is none
};

// require_writable for each output; and std::runtime_error if one is also an input or another
// output, under whatever name: what one holds would be lost. (Devices such as /dev/null may be
// shared.)
void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

}  // namespace maskwatch::apps
