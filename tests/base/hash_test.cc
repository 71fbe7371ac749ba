#include "base/hash.h"

#include <doctest/doctest.h>

using namespace maskwatch;

TEST_CASE("FNV-1a: the published values") {
  CHECK(Fnv1a().value() == 0xCBF29CE484222325u);
  CHECK(Fnv1a().add("a").value() == 0xAF63DC4C8601EC8Cu);
  CHECK(Fnv1a().add("foobar").value() == 0x85944171F73967E8u);
  CHECK(Fnv1a().add("\xFF").value() == 0xAF64724C8602EB6Eu);
}

TEST_CASE("FNV-1a: pieces give what the whole gives") {
  CHECK(Fnv1a().add("foo").add("").add("bar").value() == Fnv1a().add("foobar").value());
}

TEST_CASE("FNV-1a: a number is its bytes, lowest first") {
  CHECK(Fnv1a().add(0x6867666564636261u).value() == Fnv1a().add("abcdefgh").value());
  CHECK(Fnv1a().add(1u).value() == Fnv1a().add({"\1\0\0\0\0\0\0\0", 8}).value());
}
