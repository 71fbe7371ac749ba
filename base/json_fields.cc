#include "base/json_fields.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace maskwatch {
namespace {

using nlohmann::json;

const json& of(const void* value) { return *static_cast<const json*>(value); }

}  // namespace

struct JsonFields::Document {
  std::string origin;
  json root;
};

JsonFields JsonFields::parse(std::string_view text, const std::string& origin,
                             const std::string& root) {
  auto document = std::make_shared<Document>();
  document->origin = origin;
  try {
    document->root = json::parse(text);
  } catch (const json::exception& error) {
    const std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at …"
    const std::size_t end_of_code = reason.find("] ");
    throw std::runtime_error(
        origin + ": is not JSON: " +
        (end_of_code == std::string::npos ? reason : reason.substr(end_of_code + 2)));
  }
  const json* value = &document->root;
  return JsonFields(std::move(document), value, root);
}

void JsonFields::fail(const std::string& what) const {
  throw std::runtime_error(document_->origin + ": " + (place_.empty() ? "" : place_ + " ") + what);
}

bool JsonFields::has(const std::string& key) const {
  const json& value = of(value_);
  return value.is_object() && value.contains(key);
}

void JsonFields::require_object() const {
  if (!of(value_).is_object()) fail("is not an object");
}

JsonFields JsonFields::operator[](const std::string& key) const {
  require_object();
  const json& value = of(value_);
  JsonFields field(document_, nullptr, place_.empty() ? key : place_ + "." + key);
  const auto found = value.find(key);
  if (found == value.end()) field.fail("is missing");
  field.value_ = &*found;
  return field;
}

bool JsonFields::is_null() const { return of(value_).is_null(); }

std::string JsonFields::text() const {
  if (!of(value_).is_string()) fail("is not a string");
  return of(value_).get<std::string>();
}

double JsonFields::number() const {
  if (!of(value_).is_number()) fail("is not a number");
  return of(value_).get<double>();
}

std::int64_t JsonFields::whole_number(std::int64_t least, std::int64_t most) const {
  const json& value = of(value_);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  if (fits && value.get<std::int64_t>() >= least && value.get<std::int64_t>() <= most)
    return value.get<std::int64_t>();
  fail("is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

std::vector<JsonFields> JsonFields::list() const {
  if (!of(value_).is_array()) fail("is not a list");
  std::vector<JsonFields> values;
  for (const json& value : of(value_))
    values.push_back(
        JsonFields(document_, &value, place_ + "[" + std::to_string(values.size()) + "]"));
  return values;
}

std::vector<std::string> JsonFields::texts() const {
  std::vector<std::string> texts;
  for (const JsonFields& value : list()) texts.push_back(value.text());
  return texts;
}

std::vector<double> JsonFields::numbers(std::size_t count) const {
  if (!of(value_).is_array() || of(value_).size() != count)
    fail("is not a list of " + std::to_string(count) + " numbers");
  std::vector<double> numbers;
  for (const JsonFields& value : list()) numbers.push_back(value.number());
  return numbers;
}

}  // namespace maskwatch
