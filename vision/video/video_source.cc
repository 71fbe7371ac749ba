// Tells what kind of source a name means.
#include "vision/video/video_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "base/percent.h"
#include "vision/video/picture_folder.h"
#include "vision/video/stream_source.h"

namespace maskwatch::vision {
namespace {

using Kind = SourceKind;

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 3 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

bool is_address(const std::string& source) {
  const std::size_t colon = source.find("://");
  return colon != std::string::npos && colon > 0 &&
         std::all_of(source.begin(), source.begin() + static_cast<std::ptrdiff_t>(colon),
                     [](unsigned char c) { return std::isalnum(c) || c == '+' || c == '_'; });
}

// White space in a password must be escaped: FFmpeg and hide_passwords end there.
std::string encoded(const std::string& address) {
  const std::size_t host = address.rfind('@');
  std::string out;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const auto c = static_cast<unsigned char>(address[i]);
    if (host != std::string::npos && i < host && std::isspace(c) != 0)
      out += fmt::format("%{:02X}", c);
    else
      out += address[i];
  }
  return out;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The device of the first camera whose name holds `name`, in any case; empty if there is none.
std::string camera_named(const std::string& name) {
  if (name.empty()) return "";
  for (const Camera& camera : list_cameras())
    if (lower(camera.name).find(lower(name)) != std::string::npos) return camera.device;
  return "";
}

bool is_device(const std::string& source) {
  std::error_code error;
  return source.starts_with("/dev/video") || std::filesystem::is_character_file(source, error);
}

StreamAddress address_of(const std::string& source, const VideoSourceOptions& options) {
  static const std::string graph = "lavfi:";
  if (source.starts_with(graph)) return {Kind::graph, source, source.substr(graph.size()), "lavfi"};
  if (options.format == "lavfi") return {Kind::graph, source, source, "lavfi"};
  if (is_number(source)) return {Kind::camera, "camera " + source, "/dev/video" + source, "v4l2"};
  if (is_address(source)) {
    const std::string url = encoded(source);
    return {Kind::network, hide_passwords(url), url, options.format};
  }
  if (is_device(source)) return {Kind::camera, source, source, "v4l2"};
  std::error_code error;
  if (std::filesystem::is_fifo(source, error)) return {Kind::pipe, source, source, options.format};
  if (std::filesystem::exists(source, error))
    return {Kind::file, source, "file:" + source, options.format};
  if (const std::string device = camera_named(source); !device.empty())
    return {Kind::camera, source, device, "v4l2"};
  if (error) throw std::runtime_error(source + ": cannot be read: " + error.message());
  throw std::runtime_error(hide_passwords(source) +
                           ": there is no such file, folder or camera, and it is not an "
                           "address such as rtsp://HOST/PATH");
}

}  // namespace

std::string without_file_scheme(const std::string& source) {
  std::string path;
  for (const char* scheme : {"file:///", "file://localhost/"})
    if (source.starts_with(scheme)) path = source.substr(std::string(scheme).size() - 1);
  if (path.empty()) return source;
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const int byte = percent_byte(std::string_view(path).substr(i));
    out += byte > 0 ? static_cast<char>(byte) : path[i];
    if (byte > 0) i += 2;
  }
  return out;
}

std::unique_ptr<VideoSource> VideoSource::open(const std::string& address,
                                               const VideoSourceOptions& options) {
  const std::string source = without_file_scheme(address);
  std::error_code error;
  if (std::filesystem::is_directory(source, error)) return open_picture_folder(source, options);
  return open_stream(address_of(source, options), options);
}

}  // namespace maskwatch::vision
