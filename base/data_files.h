// Where the files that come with the project lie: models, converted weights, cascades.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace maskwatch {

// The folders that may hold the project's data/, in the order in which they are tried: the folder
// named by the environment variable MASKWATCH_DATA, the source tree that the program was built
// from, `share/maskwatch` beside the program's `bin`, and the installed one.
std::vector<std::string> data_folders();

// The first of those that has `name` ("models/mask_detector.safetensors"), or nothing.
std::optional<std::string> find_data_file(const std::string& name);

// The cascade of this file name as Debian's opencv-data installs it, or nothing.
std::optional<std::string> find_haar_cascade(const std::string& name);

}  // namespace maskwatch
