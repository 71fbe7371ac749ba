// Whole files, read into memory and written atomically.
#pragma once

#include <string>
#include <string_view>

namespace maskwatch {

// The bytes of a regular file, or of a pipe that the process was started with (/dev/stdin,
// /dev/fd/N), to its end, but no more than 1 GiB of that. std::runtime_error names the file and what
// is wrong.
std::string read_file(const std::string& path);

// Writes a temporary file in the same folder, syncs it and renames it over `path`: whoever kills
// the program leaves the old file or the new one. A file that is replaced passes its permissions
// on, and one that may not be written is not replaced; a new file has those that the umask allows.
// A link stays a link to what is written. A device or pipe (/dev/null, /dev/stdout) is written as
// it is, and so is a file that standard output or error goes to, at the place they have reached.
// std::runtime_error names the file; then nothing of the temporary one is left behind.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace maskwatch
