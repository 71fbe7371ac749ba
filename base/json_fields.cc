#include "base/json_fields.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace maskwatch {
namespace {

using nlohmann::ordered_json;

const ordered_json& of(const void* value) { return *static_cast<const ordered_json*>(value); }

std::string prefix(const std::string& origin) { return origin.empty() ? "" : origin + ": "; }

// The field of an object, or null. The last of several, as other readers of JSON have it.
const ordered_json* field_of(const ordered_json& value, const std::string& key) {
  if (!value.is_object()) return nullptr;
  const auto& fields = value.get_ref<const ordered_json::object_t&>();
  for (auto field = fields.rbegin(); field != fields.rend(); ++field)
    if (field->first == key) return &field->second;
  return nullptr;
}

// The library's own parser looks for each key among those before it, which for a hostile text takes
// time with the square of its length.
class Parser : public nlohmann::json_sax<ordered_json> {
 public:
  ordered_json root;
  std::string fault;  // empty when nothing is wrong

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in texts
  bool start_object(std::size_t) override { return open(ordered_json::object()); }
  bool start_array(std::size_t) override { return open(ordered_json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    open_.back()->get_ref<ordered_json::object_t&>().emplace_back(std::move(name), nullptr);
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) override {
    fault = e.what();  // "[json.exception.parse_error.101] parse error at …"
    if (const std::size_t end_of_code = fault.find("] "); end_of_code != std::string::npos)
      fault.erase(0, end_of_code + 2);
    return false;
  }

 private:
  ordered_json& place(ordered_json value) {
    if (open_.empty()) return root = std::move(value);
    if (!open_.back()->is_array())
      return open_.back()->get_ref<ordered_json::object_t&>().back().second = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }
  bool add(ordered_json value) { return place(std::move(value)), true; }
  bool open(ordered_json value) {
    if (open_.size() == kMostDepth) {
      fault = "nested more than " + std::to_string(kMostDepth) + " deep";
      return false;
    }
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() { return open_.pop_back(), true; }

  // No file that we read comes near; each level takes memory, and time where it is walked.
  static constexpr std::size_t kMostDepth = 100;

  std::vector<ordered_json*> open_;  // the lists and objects around what comes next
};

}  // namespace

struct JsonFields::Document {
  std::string origin;
  ordered_json root;
};

JsonFields JsonFields::parse(std::string_view text, const std::string& origin,
                             const std::string& root) {
  Parser parser;
  if (!ordered_json::sax_parse(text, &parser))
    throw std::runtime_error(prefix(origin) + "is not JSON: " + parser.fault);
  auto document = std::make_shared<Document>(Document{origin, std::move(parser.root)});
  const ordered_json* value = &document->root;
  return JsonFields(std::move(document), value, root);
}

void JsonFields::fail(const std::string& what) const {
  throw std::runtime_error(prefix(document_->origin) + (place_.empty() ? "" : place_ + " ") + what);
}

bool JsonFields::has(const std::string& key) const { return field_of(of(value_), key) != nullptr; }

void JsonFields::require_object() const {
  if (!of(value_).is_object()) fail("is not an object");
}

JsonFields JsonFields::operator[](const std::string& key) const {
  require_object();
  const JsonFields field(document_, field_of(of(value_), key),
                         place_.empty() ? key : place_ + "." + key);
  if (field.value_ == nullptr) field.fail("is missing");
  return field;
}

std::optional<JsonFields> JsonFields::find(const std::string& key) const {
  if (!has(key)) return std::nullopt;
  return (*this)[key];
}

std::vector<std::pair<std::string, JsonFields>> JsonFields::members() const {
  require_object();
  std::vector<std::pair<std::string, JsonFields>> members;
  for (const auto& [key, value] : of(value_).get_ref<const ordered_json::object_t&>())
    members.emplace_back(key,
                         JsonFields(document_, &value, place_.empty() ? key : place_ + "." + key));
  return members;
}

bool JsonFields::is_null() const { return of(value_).is_null(); }

bool JsonFields::is_true() const { return of(value_) == true; }

bool JsonFields::is_false() const { return of(value_) == false; }

bool JsonFields::is_number() const { return of(value_).is_number(); }

bool JsonFields::is_text() const { return of(value_).is_string(); }

bool JsonFields::is_list() const { return of(value_).is_array(); }

std::string JsonFields::text() const {
  if (!is_text()) fail("is not a string");
  return of(value_).get<std::string>();
}

double JsonFields::number() const {
  if (!is_number()) fail("is not a number");
  return of(value_).get<double>();
}

std::int64_t JsonFields::whole_number(std::int64_t least, std::int64_t most) const {
  const ordered_json& value = of(value_);
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  if (fits && value.get<std::int64_t>() >= least && value.get<std::int64_t>() <= most)
    return value.get<std::int64_t>();
  fail("is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
}

std::size_t JsonFields::size() const {
  if (!is_list()) fail("is not a list");
  return of(value_).size();
}

std::vector<JsonFields> JsonFields::list() const {
  if (!is_list()) fail("is not a list");
  std::vector<JsonFields> values;
  for (const ordered_json& value : of(value_))
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
  if (!is_list() || size() != count) fail("is not a list of " + std::to_string(count) + " numbers");
  std::vector<double> numbers;
  for (const JsonFields& value : list()) numbers.push_back(value.number());
  return numbers;
}

std::string JsonFields::dump() const { return of(value_).dump(); }

}  // namespace maskwatch
