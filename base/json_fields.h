// Reading a JSON text by asking its values for their parts. Each value knows its place, so that a
// fault names file, place and what is wrong:
//   model.safetensors: metadata "graph": layers[3].stride is not a whole number from 1 to 64
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maskwatch {

// A value in a JSON text. Copies share the text, which lives as long as one of them. All functions
// that do not find what they were asked for throw std::runtime_error.
class JsonFields {
 public:
  // `origin` is how faults name the text ("history.json"; empty: not at all), `root` how they name
  // its outermost value ("layers"), which may be empty for an object.
  static JsonFields parse(std::string_view text, const std::string& origin,
                          const std::string& root = "");

  void require_object() const;
  // A field of an object.
  JsonFields operator[](const std::string& key) const;
  bool has(const std::string& key) const;
  // Nothing where there is no such field, or no object.
  std::optional<JsonFields> find(const std::string& key) const;
  // The fields of an object in the order of the text.
  std::vector<std::pair<std::string, JsonFields>> members() const;

  bool is_null() const;
  bool is_true() const;
  bool is_false() const;
  bool is_number() const;
  bool is_text() const;
  bool is_list() const;
  std::string text() const;
  double number() const;
  std::int64_t whole_number(std::int64_t least, std::int64_t most) const;
  // Of a list.
  std::size_t size() const;
  std::vector<JsonFields> list() const;
  std::vector<std::string> texts() const;
  // A list of exactly `count` numbers.
  std::vector<double> numbers(std::size_t count) const;
  // The value as JSON, on one line.
  std::string dump() const;

  // Throws std::runtime_error: origin, place and `what` ("is out of range").
  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Document;
  JsonFields(std::shared_ptr<const Document> document, const void* value, std::string place)
      : document_(std::move(document)), value_(value), place_(std::move(place)) {}

  std::shared_ptr<const Document> document_;
  const void* value_;  // a value in the document
  std::string place_;  // "layers[3].stride"; empty for a root without a name
};

}  // namespace maskwatch
