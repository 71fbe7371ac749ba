// Where the files that come with the project lie: models, converted weights, cascades. Nothing here
// depends on the current folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace maskwatch {

// The folders that may hold the project's data/, in the order in which they are tried:
//   the folder that the environment variable MASKWATCH_DATA names;
//   data/ of the source tree and no other, if the program or the library lies in the build tree, in
//   no install that was staged there: an older installation must not serve a newer build;
//   share/maskwatch beside the folder of the shared library that holds this code (lib, lib/TRIPLE);
//   share/maskwatch, and then maskwatch, beside the folder that the running program lies in (bin);
//   the second is where pip puts data;
//   the installed folder;
//   those that were added.
std::vector<std::string> data_folders();

// One more, tried last: for a program that embeds the library and brings the data in a place of its
// own.
void add_data_folder(const std::string& folder);

// Those for a program and a library at these absolute paths; an empty path counts for none.
std::vector<std::string> data_folders_of(const std::string& program, const std::string& library);

// The first of data_folders() that has `name` ("models/mask_detector.safetensors"), with it; or
// nothing.
std::optional<std::string> find_data_file(const std::string& name);

// The same for a file that the library cannot do without: std::runtime_error, which calls it `what`
// ("the model that ships") and names the folders, if none has it.
std::string shipped_file(const std::string& what, const std::string& name);

}  // namespace maskwatch
