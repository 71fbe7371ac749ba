// Where programs write, checked before the work begins rather than after.
#pragma once

#include <string>

namespace apps {

// UsageError unless a file can be made at `path`: its folder exists and takes one, and `path` is no
// folder.
void require_writable(const std::string& path);

}  // namespace apps
