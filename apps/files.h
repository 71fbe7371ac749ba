// Where programs write, checked before the work begins rather than after.
#pragma once

#include <string>

namespace apps {

// UsageError unless a file can be made at `path`: its folder exists and takes one, and `path` is no
// folder.
void require_writable(const std::string& path);

// Whether writing to `one` would change the regular file `other`, or make the same new file.
bool same_file(const std::string& one, const std::string& other);

}  // namespace apps
