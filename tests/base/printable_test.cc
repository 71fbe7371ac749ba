#include "base/printable.h"

#include <doctest/doctest.h>

#include <string>

#include "base/json.h"
#include "base/json_fields.h"

using namespace maskwatch;

TEST_CASE("ordinary text of any language is printed as it is") {
  for (const char* text : {"", "with_mask", "caf\xc3\xa9", "\xe6\x88\xb4\xe5\x8f\xa3\xe7\xbd\xa9",
                           "\xc2\xa0", "\xf0\x9f\x98\xb7"})
    CHECK(printable(text) == text);
}

TEST_CASE("what a terminal obeys is written out") {
  CHECK(printable("a\nb\tc\r") == "a b c ");
  CHECK(printable("\x1b[2J\x7f") == "\\x1b[2J\\x7f");
  CHECK(printable("mask\xc2\x9b"
                  "2J") == "mask\\u{009b}2J");
  CHECK(printable("\xc2\x80\xc2\x9f") == "\\u{0080}\\u{009f}");
  CHECK(printable("\xe2\x80\xaa\xe2\x80\xae") == "\\u{202a}\\u{202e}");
  CHECK(printable("\xe2\x81\xa6\xe2\x81\xa9") == "\\u{2066}\\u{2069}");
  CHECK(printable("\xe2\x80\xa8\xe2\x80\xa9\xd8\x9c") == "\\u{2028}\\u{2029}\\u{061c}");
}

TEST_CASE("bytes that are not UTF-8 are written out") {
  CHECK(printable("caf\xe9") == "caf\\xe9");
  CHECK(printable("\x9b"
                  "2J") == "\\x9b2J");
  CHECK(printable("\xc0\x9b") == "\\xc0\\x9b");  // overlong
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
  CHECK(printable("\xe2\x80") == "\\xe2\\x80");
}

TEST_CASE("JSON escapes the same characters, and they come back") {
  const std::string hostile = "a\xc2\x9b\xe2\x80\xae";
  const std::string json = Json(hostile).dump();
  CHECK(json == R"("a\u009b\u202e")");
  CHECK(JsonFields::parse(json, "test").text() == hostile);
}
