// Text from files, printed: what a terminal would obey rather than show is written out.
#pragma once

#include <string>
#include <string_view>

namespace maskwatch {

// `text` on one line: line breaks and tabs are spaces; control characters and bytes that are not
// UTF-8 become \xNN; the controls of C1 (U+0080 to U+009F), the marks, overrides and isolates of
// writing direction and the line separators become \u{NNNN}.
std::string printable(std::string_view text);

// Whether the character is one of those that printable() writes as \u{NNNN}.
bool steers_terminal(char32_t character);

// The UTF-8 character that begins at `at`, which moves behind it. Returns kNotUtf8, and moves by
// one byte, where there is none (RFC 3629: overlong forms and surrogates are none).
inline constexpr char32_t kNotUtf8 = 0xffffffff;
char32_t next_character(std::string_view text, std::size_t& at);

}  // namespace maskwatch
