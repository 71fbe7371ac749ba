// JSON to write: a value is built, then dumped. base/json_fields.h reads.
//   Json report = Json::object({{"file", name}, {"box", Json::list({x, y})}, {"sizes", sizes}});
//   report["label"] = label;
//   report.dump(2)
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace maskwatch {

// Next to nothing is inline: reports of many figures would take long to compile.
class Json {
 public:
  struct Member;
  enum class KeyOrder { sorted, as_added };  // sorted: by their bytes
  static constexpr int kOneLine = -1;

  Json(std::nullptr_t = nullptr);
  // bool too; infinity and NaN are written as null.
  template <typename Number>
  requires std::is_arithmetic_v<Number> Json(Number number)
      : Json(of(static_cast<Widest<Number>>(number))) {}
  Json(std::string_view text);
  Json(const std::string& text);
  Json(const char* text);
  template <typename Element>
  Json(const std::vector<Element>& elements) : Json(list()) {
    for (const Element& element : elements) push_back(element);
  }
  template <typename Element, std::size_t N>
  Json(const std::array<Element, N>& elements) : Json(list()) {
    for (const Element& element : elements) push_back(element);
  }
  // What was moved from may only be assigned to.
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(Json other) noexcept;
  ~Json();

  static Json list(std::initializer_list<Json> elements = {});
  // Keys must differ.
  static Json object(std::initializer_list<Member> members = {});

  // The following three throw std::logic_error where they do not apply; null is as good as an empty
  // object or list.

  // A member of an object: null where the key is new.
  Json& operator[](std::string_view key);
  // Adds the members of another object, or puts them in the place of those of the same keys.
  void update(Json object);
  // Adds to the end of a list.
  void push_back(Json element);

  // `indent` spaces for each level. Bytes that are no UTF-8 are written as U+FFFD, characters that
  // a terminal obeys (base/printable.h) as \uNNNN.
  std::string dump(int indent = kOneLine, KeyOrder order = KeyOrder::sorted) const;

 private:
  struct Value;
  friend struct JsonWriter;

  template <typename Number>
  using Widest =
      std::conditional_t<std::same_as<Number, bool>, bool,
                         std::conditional_t<std::floating_point<Number>, double,
                                            std::conditional_t<std::signed_integral<Number>,
                                                               std::int64_t, std::uint64_t>>>;

  explicit Json(Value value);
  static Json of(bool truth);
  static Json of(std::int64_t number);
  static Json of(std::uint64_t number);
  static Json of(double number);

  std::unique_ptr<Value> value_;
};

struct Json::Member {
  std::string key;
  Json value;

  Member(std::string_view key, Json value);
  Member(const Member& other);
  Member(Member&& other) noexcept;
  ~Member();
};

}  // namespace maskwatch
