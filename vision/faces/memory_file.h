// Bytes in memory under a path, for readers that take the path of a file.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace maskwatch::vision {

// Calls `read` with a path below which `bytes` can be read until it returns. A std::runtime_error
// that it throws names `name` in place of the path. Nothing is written to a disk.
void read_as_file(std::span<const std::uint8_t> bytes, const std::string& name,
                  const std::function<void(const std::string& path)>& read);

}  // namespace maskwatch::vision
