// What C++20's library has and Emscripten's of Debian 12 lacks. Included before every source.
#pragma once

#include <version>

#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 14000
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string>

namespace std {

template <typename To, typename From>
constexpr To bit_cast(const From& from) noexcept {
  return __builtin_bit_cast(To, from);
}

// The longest number at the front, as the standard says, and without what strtod takes beyond that:
// white space, a plus sign, hexadecimal digits.
inline from_chars_result from_chars(const char* first, const char* last, double& value) {
  const string text(first, last);
  size_t length = text.find_first_not_of("+-.0123456789eEinfatyINFATY");
  const string number = text.substr(0, length);
  if (number.empty() || number[0] == '+') return {first, errc::invalid_argument};
  char* end = nullptr;
  errno = 0;
  const double read = strtod(number.c_str(), &end);
  if (end == number.c_str()) return {first, errc::invalid_argument};
  const char* const behind = first + (end - number.c_str());
  if (errno == ERANGE) return {behind, errc::result_out_of_range};
  value = read;
  return {behind, errc()};
}

}  // namespace std
#endif
