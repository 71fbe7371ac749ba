// What tests of several rooms need: a folder of their own, and the message of what was thrown.
#pragma once

#include <unistd.h>

#include <exception>
#include <filesystem>
#include <functional>
#include <string>

namespace maskwatch::vision_test {

// The message of what `body` throws; empty if it throws nothing.
inline std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

inline bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Gone, with all that is in it, at the end of the scope.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("maskwatch_vision_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const std::string& name) const { return (path / name).string(); }
};

}  // namespace maskwatch::vision_test
