// Where programs write, checked before the work begins rather than after.
#pragma once

#include <string>
#include <vector>

namespace maskwatch::apps {

// Throws std::runtime_error unless a file can be made at `path`: its folder exists and takes one,
// and `path` is not a folder.
void require_writable(const std::string& path);

// Throws UsageError that begins with `option` unless vision::save_image() can write a picture
// called `path`, or `path` is empty.
void require_picture(const std::string& option, const std::string& path);

// Throws std::runtime_error if something is there but an empty folder, or no folder can be made
// there.
void require_new_folder(const std::string& path);

// Throws UsageError if the folder `output` lies in one of `folders`, by whatever links: what is
// written there would be taken for what lies there.
void require_outside(const std::string& output, const std::vector<std::string>& folders);

struct NamedFile {
  std::string name;  // as the user knows it: "--record", "the source"
  std::string path;  // empty: there is none
};

// require_writable for each output; and std::runtime_error if one is also an input or another
// output, under whatever name: what one holds would be lost. (Devices such as /dev/null may be
// shared.)
void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

// UsageError if an output is one of these files, as of a data set.
void require_apart(const std::vector<NamedFile>& outputs, const std::vector<std::string>& files);

}  // namespace maskwatch::apps
