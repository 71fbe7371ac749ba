#include "base/percent.h"

#include <doctest/doctest.h>

#include <string>

using namespace maskwatch;

TEST_CASE("%XX stands for a byte") {
  CHECK(percent_decoded("") == "");
  CHECK(percent_decoded("a+b c") == "a+b c");
  CHECK(percent_decoded("%41%7e%7E%2525") == "A~~%25");
  CHECK(percent_decoded("caf%c3%A9") == "caf\xc3\xa9");
  CHECK(percent_decoded("a%00b") == std::string("a\0b", 3));
  for (const char* wrong :
       {"%", "a%", "%4", "%4g", "%g4", "%%41", "%+4", "% 4", "%-1", "%0x41", "%:0", "%`0", "%@1"}) {
    CAPTURE(std::string(wrong));
    CHECK(!percent_decoded(wrong).has_value());
  }
}

TEST_CASE("the byte at the beginning of a text") {
  CHECK(percent_byte("%ff and more") == 255);
  CHECK(percent_byte("%00") == 0);
  for (const char* none : {"", "%", "%f", "ff", "a%ff", "%fg"}) CHECK(percent_byte(none) == -1);
}
