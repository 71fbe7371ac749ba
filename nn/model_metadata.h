// What a model file says of its model: metadata by key. Reading throws std::runtime_error, which
// names the file and what is missing, unknown or out of range.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/anchors.h"
#include "nn/mobilenet_v2.h"
#include "nn/safetensors.h"

namespace maskwatch::nn {

inline constexpr std::int64_t kMaxClasses = 100000;
// Of the pictures that a model takes: nobody trains on larger ones, and memory grows with the
// square.
inline constexpr int kMaxInputSize = 1024;

template <typename Enum>
struct NamedValue {
  Enum value;
  const char* text;
};

inline constexpr NamedValue<Padding> kPaddings[] = {{Padding::tf, "tf"},
                                                    {Padding::symmetric, "symmetric"}};
inline constexpr NamedValue<Preprocessing> kPreprocessings[] = {
    {Preprocessing::tf, "tf"},
    {Preprocessing::unit, "unit"},
    {Preprocessing::imagenet, "imagenet"}};
inline constexpr NamedValue<bool> kBooleans[] = {{true, "true"}, {false, "false"}};

template <typename Enum, std::size_t N>
const char* name_of(const NamedValue<Enum> (&names)[N], Enum value) {
  for (const auto& name : names)
    if (name.value == value) return name.text;
  return "";
}

// The metadata of one file, each key asked for by name.
class Metadata {
 public:
  Metadata(const std::map<std::string, std::string>& values, const std::string& path)
      : values_(values), path_(path) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw std::runtime_error(path_ + ": " + what);
  }

  const std::string& text(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) fail("not a Maskwatch model: metadata " + key + " is missing");
    return found->second;
  }

  double number(const std::string& key) const {
    const std::string& value = text(key);
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size())
      fail("metadata " + key + " is \"" + value + "\", not a number");
    return number;
  }

  template <typename Enum, std::size_t N>
  Enum choice(const std::string& key, const NamedValue<Enum> (&names)[N]) const {
    for (const auto& name : names)
      if (text(key) == name.text) return name.value;
    fail("metadata " + key + " is \"" + text(key) + "\", which is unknown");
  }

  double number_or(const std::string& key, double otherwise) const {
    return values_.contains(key) ? number(key) : otherwise;
  }
  template <typename Enum, std::size_t N>
  Enum choice_or(const std::string& key, const NamedValue<Enum> (&names)[N], Enum otherwise) const {
    return values_.contains(key) ? choice(key, names) : otherwise;
  }

  std::vector<std::string> labels() const;
  // A list of as many texts as there are labels; empty if the key is missing.
  std::vector<std::string> texts_of_labels(const std::string& key, std::size_t labels) const;

 private:
  std::vector<std::string> texts(const std::string& key) const;

  const std::map<std::string, std::string>& values_;
  const std::string& path_;
};

// As the metadata labels, meanings and anchors hold them.
std::string text_of_labels(const std::vector<std::string>& labels);
std::string text_of_anchors(const AnchorOptions& anchors);

// Options of a backbone into metadata and back.
void describe_backbone(const MobileNetV2Options& options,
                       std::map<std::string, std::string>& metadata);
MobileNetV2Options backbone_options(const Metadata& metadata);

// A damaged model must not answer "nan%": std::runtime_error names a tensor that holds a value
// which is not finite, or a negative variance.
void check_values(const Safetensors& contents, const std::string& path);

}  // namespace maskwatch::nn
