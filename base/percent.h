// %XX for a byte, as in URLs (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace maskwatch {

// The byte that the "%XX" at the beginning of `text` stands for; -1 if there is none.
int percent_byte(std::string_view text);

// `text` with bytes in place of every %XX; nothing if a % is not followed by two hexadecimal
// digits.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace maskwatch
