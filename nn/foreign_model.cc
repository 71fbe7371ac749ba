#include "nn/foreign_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace maskwatch::nn {
namespace {

using namespace std::string_view_literals;

bool holds(std::string_view bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() && bytes.substr(at, magic.size()) == magic;
}

// A protobuf message whose first field (ir_version) is a small number; another field follows.
bool is_onnx(std::string_view bytes) {
  constexpr unsigned char newest = 32;
  if (bytes.size() < 16 || bytes[0] != 8 || static_cast<unsigned char>(bytes[1]) > newest)
    return false;
  // producer_name, producer_version, domain, doc_string, graph, opset_import: with lengths.
  return "\x12\x1A\x22\x32\x3A\x42"sv.find(bytes[2]) != std::string_view::npos && bytes[8] != '{';
}

std::string kind_of(std::string_view bytes) {
  if (holds(bytes, 0, "\x89HDF\r\n\x1A\n")) return "a Keras model (HDF5)";
  if (holds(bytes, 4, "TFL3")) return "a TFLite model";
  if (holds(bytes, 0, "PK\x03\x04")) {
    // The list of a zip's contents stands at its end, each name as it is.
    const std::string_view list =
        bytes.substr(bytes.size() - std::min<std::size_t>(bytes.size(), 1 << 20));
    if (list.find("model.weights.h5") != std::string_view::npos) return "a Keras model (.keras)";
    if (list.find("data.pkl") != std::string_view::npos) return "a PyTorch model";
    return "";
  }
  if (holds(bytes, 0, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9")) return "a PyTorch model";
  return is_onnx(bytes) ? "an ONNX model" : "";
}

std::string advice(const std::string& kind, const std::string& path) {
  const std::filesystem::path target =
      std::filesystem::path(path).filename().replace_extension(".safetensors");
  return fmt::format("{}; convert it first: python3 data/convert_weights.py {} {}", kind, path,
                     target.string());
}

}  // namespace

std::string foreign_model(std::string_view bytes, const std::string& name) {
  const std::string kind = kind_of(bytes);
  return kind.empty() ? "" : advice(kind, name);
}

std::string foreign_model_folder(const std::string& path) {
  std::error_code error;
  const std::filesystem::path folder = path;
  if (!std::filesystem::exists(folder / "saved_model.pb", error)) return "";
  std::string name = path;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  return advice("a TensorFlow SavedModel", name);
}

}  // namespace maskwatch::nn
