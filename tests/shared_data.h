// Finds the data that lies beside the project (../shared), which is never part of it. Tests run
// with the project root as working directory.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <string>

// Path of ../shared/<relative>, or nothing if this machine lacks it.
inline std::optional<std::string> shared_data(const std::string& relative) {
  const std::filesystem::path path = std::filesystem::path("..") / "shared" / relative;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path.string();
}

// Declares `path`, or leaves the test case with a message that cannot be overlooked.
#define REQUIRE_SHARED_DATA(path, relative)                                      \
  const std::optional<std::string> path##_if_there = shared_data(relative);      \
  if (!path##_if_there) {                                                        \
    MESSAGE("SKIPPED, NOT TESTED: ../shared/" << (relative) << " is not there"); \
    return;                                                                      \
  }                                                                              \
  const std::string path = *path##_if_there
