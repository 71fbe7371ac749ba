#include "vision/image/picture_kinds.h"

#include <algorithm>

namespace maskwatch::vision {

std::string lower_case_extension(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::size_t dot = name.find_last_of('.');
  std::string extension = dot == std::string::npos ? "" : name.substr(dot);
  std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension;
}

bool has_image_extension(const std::string& path) {
  static constexpr const char* kExtensions[] = {".jpg",  ".jpeg", ".jfif", ".png",
                                                ".bmp",  ".gif",  ".tif",  ".tiff",
                                                ".webp", ".heic", ".heif", ".avif"};
  const std::string extension = lower_case_extension(path);
  return std::any_of(std::begin(kExtensions), std::end(kExtensions),
                     [&](const char* known) { return extension == known; });
}

bool is_hidden_name(const std::string& name) { return name.starts_with('.') || name == "__MACOSX"; }

}  // namespace maskwatch::vision
