// Whole files, read into memory and written atomically.
#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace maskwatch {

// Whether a file may be read whole, by its first bytes (up to 4096) and its size: throws where not.
using FileCheck = std::function<void(std::string_view first, std::size_t size)>;

// The bytes of a regular file, or of a pipe that the process was started with (/dev/stdin,
// /dev/fd/N), to its end: at most kMaxFile (base/resource_limits.h) of them. `check` is asked
// before the rest is read. std::runtime_error names the file and what is wrong; what `check` throws
// is passed on.
std::string read_file(const std::string& path, const FileCheck& check = {});

// The disk is full, or fails: a failure at work, where other std::runtime_errors are of wrong
// input.
class WriteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws what `error` (an errno) of opening or writing an output is, after `what` and a colon: of a
// place where nobody may write, whoever named it is at fault, std::runtime_error; else WriteError.
[[noreturn]] void throw_write_fault(const std::string& what, int error);

// Writes a temporary file in the same folder, syncs it and renames it over `path`: whoever kills
// the program leaves the old file or the new one. Where the file system knows files without a name
// (Linux's do, network ones do not), no half of a file is left either. A file that is replaced
// passes its permissions on, and one that may not be written is not replaced; a new file has those
// that the umask allows. A link stays a link to what is written. A device or pipe (/dev/null,
// /dev/stdout) is written as it is, and so is a file that standard output or error goes to, at the
// place they have reached. WriteError names the file; then nothing of the temporary one is left
// behind.
void write_file_atomically(const std::string& path, std::string_view bytes);

}  // namespace maskwatch
