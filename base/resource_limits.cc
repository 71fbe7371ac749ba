#include "base/resource_limits.h"

#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

namespace maskwatch {

std::int64_t value_of(const Limit& limit) {
  const char* given = std::getenv(limit.variable);
  if (given == nullptr || *given == '\0') return limit.usual;
  const std::string_view text = given;
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < 1 || value > limit.most)
    throw std::runtime_error(std::string(limit.variable) + "=" + given +
                             ": not a whole number from 1 to " + std::to_string(limit.most));
  return value;
}

std::string over(const Limit& limit) {
  return "over the limit of " + std::to_string(value_of(limit)) + " " + limit.unit + " (" +
         limit.variable + " sets it)";
}

}  // namespace maskwatch
