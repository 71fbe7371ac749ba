// A model in a file that is gone at the end of the scope.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "nn/safetensors.h"

namespace maskwatch {

class SavedModel {
 public:
  explicit SavedModel(const nn::Safetensors& contents) {
    static int number = 0;
    path_ =
        (std::filesystem::temp_directory_path() / ("maskwatch_saved_" + std::to_string(getpid()) +
                                                   "_" + std::to_string(number++) + ".safetensors"))
            .string();
    nn::save_safetensors(path_, contents);
  }
  ~SavedModel() { std::filesystem::remove(path_); }
  SavedModel(const SavedModel&) = delete;
  SavedModel& operator=(const SavedModel&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// With another value of a field of the metadata "detector"; without it where that is null.
inline nn::Safetensors with_detector_field(nn::Safetensors contents, const std::string& key,
                                           const nlohmann::json& value) {
  auto form = nlohmann::json::parse(contents.metadata["detector"]);
  if (value.is_null())
    form.erase(key);
  else
    form[key] = value;
  contents.metadata["detector"] = form.dump();
  return contents;
}

// Why Reader, a class that is made from a path, refuses the file; the message must begin with it.
template <typename Reader>
std::string fault_of(const nn::Safetensors& contents) {
  const SavedModel saved(contents);
  try {
    const Reader reader(saved.path());
  } catch (const std::runtime_error& fault) {
    const std::string text = fault.what();
    CHECK(text.starts_with(saved.path()));
    return text;
  }
  return "nothing was thrown";
}

}  // namespace maskwatch
