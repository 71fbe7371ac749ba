// Whole files, read into memory and written atomically.
#pragma once

#include <string>
#include <string_view>

namespace maskwatch {

// std::runtime_error names the file and what is wrong.
std::string read_file(const std::string& path);

// Writes a temporary file in the same folder, syncs it and renames it over `path`: whoever kills
// the program leaves the old file or the new one. std::runtime_error names the file; then nothing
// of it is left behind. A device or pipe (/dev/null, /dev/stdout) is written as it is.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace maskwatch
