#include "base/json.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>
#include <variant>

#include "base/printable.h"

namespace maskwatch {

using nlohmann::ordered_json;

using List = std::vector<Json>;
using Object = std::vector<Json::Member>;

struct Json::Value : std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double,
                                  std::string, List, Object> {
  using variant::variant;

  // Null becomes an empty one.
  template <typename Kind>
  Kind& as() {
    if (std::holds_alternative<std::nullptr_t>(*this)) emplace<Kind>();
    if (Kind* value = std::get_if<Kind>(this)) return *value;
    throw std::logic_error("Json: not the list or object that it should be");
  }
};

// Into the library's own values, which it then formats.
struct JsonWriter {
  Json::KeyOrder order;

  ordered_json operator()(const Json& json) const {
    return std::visit(*this, static_cast<const Json::Value::variant&>(*json.value_));
  }

  template <typename Scalar>
  ordered_json operator()(const Scalar& value) const {
    return value;
  }

  ordered_json operator()(const List& elements) const {
    ordered_json list = ordered_json::array();
    for (const Json& element : elements) list.push_back((*this)(element));
    return list;
  }

  ordered_json operator()(const Object& members) const {
    std::vector<const Json::Member*> in_order;
    for (const Json::Member& member : members) in_order.push_back(&member);
    if (order == Json::KeyOrder::sorted)
      std::sort(in_order.begin(), in_order.end(),
                [](const auto* a, const auto* b) { return a->key < b->key; });
    ordered_json::object_t object;
    // Not emplace, which would look for each key among those before it.
    for (const Json::Member* member : in_order)
      object.emplace_back(member->key, (*this)(member->value));
    return object;
  }
};

Json::Json(Value value) : value_(std::make_unique<Value>(std::move(value))) {}
Json::Json(std::nullptr_t) : Json(Value(nullptr)) {}
Json::Json(std::string_view text) : Json(Value(std::string(text))) {}
Json::Json(const std::string& text) : Json(Value(text)) {}
Json::Json(const char* text) : Json(std::string_view(text)) {}
Json Json::of(bool truth) { return Json(Value(truth)); }
Json Json::of(std::int64_t number) { return Json(Value(number)); }
Json Json::of(std::uint64_t number) { return Json(Value(number)); }
Json Json::of(double number) { return Json(Value(number)); }
Json Json::list(std::initializer_list<Json> elements) { return Json(Value(List(elements))); }
Json Json::object(std::initializer_list<Member> members) { return Json(Value(Object(members))); }

Json::Json(const Json& other) : Json(Value(*other.value_)) {}
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(Json other) noexcept {
  value_ = std::move(other.value_);
  return *this;
}
Json::~Json() = default;

Json::Member::Member(std::string_view key, Json value) : key(key), value(std::move(value)) {}
Json::Member::Member(const Member& other) = default;
Json::Member::Member(Member&& other) noexcept = default;
Json::Member::~Member() = default;

Json& Json::operator[](std::string_view key) {
  Object& members = value_->as<Object>();
  for (Member& member : members)
    if (member.key == key) return member.value;
  return members.emplace_back(key, Json()).value;
}

void Json::update(Json object) {
  for (Member& member : object.value_->as<Object>()) (*this)[member.key] = std::move(member.value);
}

void Json::push_back(Json element) { value_->as<List>().push_back(std::move(element)); }

namespace {

// In place of characters that a terminal obeys, which can only stand inside strings, what JSON has
// for them: readers see no difference.
std::string with_escapes(const std::string& json) {
  std::string out;
  for (std::size_t at = 0; at < json.size();) {
    const std::size_t begin = at;
    const char32_t c = next_character(json, at);
    char escaped[8];
    if (steers_terminal(c) || c == 0x7f) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out.append(json, begin, at - begin);
    }
  }
  return out;
}

}  // namespace

std::string Json::dump(int indent, KeyOrder order) const {
  return with_escapes(
      JsonWriter{order}(*this).dump(indent, ' ', false, ordered_json::error_handler_t::replace));
}

}  // namespace maskwatch
