// Which pictures a training run was validated on.
#pragma once

#include <set>
#include <string>

namespace maskwatch::apps {

// The list "validation_files" of the JSON that `program` --history wrote: paths below the data
// set. Throws std::runtime_error for a file that cannot be read and std::runtime_error, which names
// file and place, for one without such a list of texts.
std::set<std::string> names_in_history(const std::string& path, const std::string& program);

}  // namespace maskwatch::apps
