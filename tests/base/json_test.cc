#include "base/json.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace maskwatch;

namespace {

std::string written(const Json& json) { return json.dump(); }

}  // namespace

TEST_CASE("keys are sorted by their bytes, or stay in the order in which they were added") {
  Json json = Json::object({{"b", 1}, {"a", 2}, {"Z", 3}, {"\xc3\xa4", 4}});
  json["aa"] = Json::object({{"y", 5}, {"x", 6}});
  CHECK(json.dump() == "{\"Z\":3,\"a\":2,\"aa\":{\"x\":6,\"y\":5},\"b\":1,\"\xc3\xa4\":4}");
  CHECK(json.dump(Json::kOneLine, Json::KeyOrder::as_added) ==
        "{\"b\":1,\"a\":2,\"Z\":3,\"\xc3\xa4\":4,\"aa\":{\"y\":5,\"x\":6}}");
}

TEST_CASE("scalars") {
  CHECK(written({}) == "null");
  CHECK(written(nullptr) == "null");
  CHECK(written(true) == "true");
  CHECK(written(false) == "false");
  CHECK(written("text") == "\"text\"");
  CHECK(written(std::string("text")) == "\"text\"");
  CHECK(written(std::string_view("text")) == "\"text\"");
}

TEST_CASE("whole numbers keep all of their digits") {
  CHECK(written(-7) == "-7");
  CHECK(written((std::int64_t{1} << 53) + 1) == "9007199254740993");
  CHECK(written(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(written(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(written(std::uint8_t{200}) == "200");
}

TEST_CASE("fractions are formatted by the library") {
  for (const double number : {0., -0., 1., -1., .1, 1. / 3, 1e-5, 1e15, 1e16, 1e17, 123456789.125,
                              5e-324, 1.7976931348623157e308, 2.2250738585072014e-308}) {
    CHECK(written(number) == nlohmann::json(number).dump());
    const auto single = static_cast<float>(number);
    if (std::isfinite(single)) CHECK(written(single) == nlohmann::json(single).dump());
  }
  CHECK(written(1.) == "1.0");
  CHECK(written(.1) == "0.1");
  CHECK(written(.1f) == "0.10000000149011612");
}

TEST_CASE("what is no finite number is null") {
  CHECK(written(std::numeric_limits<double>::quiet_NaN()) == "null");
  CHECK(written(Json::list({INFINITY, -INFINITY})) == "[null,null]");
}

TEST_CASE("text is escaped, and what is no UTF-8 is replaced") {
  CHECK(written("\"\\/\b\n\x01\x7f") == "\"\\\"\\\\/\\b\\n\\u0001\\u007f\"");
  CHECK(written(std::string("a\0b", 3)) == "\"a\\u0000b\"");
  CHECK(written("\xe5\x8f\xa3\xf0\x9f\x98\xb7") == "\"\xe5\x8f\xa3\xf0\x9f\x98\xb7\"");
  CHECK(written("a\xff\xc3") == "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(written(Json::object({{"\xff", 1}})) == "{\"\xef\xbf\xbd\":1}");
}

TEST_CASE("lists and objects, nested and indented") {
  CHECK(written(Json::list()) == "[]");
  CHECK(written(Json::object()) == "{}");
  CHECK(written(std::vector<int>{1, 2}) == "[1,2]");
  CHECK(written(std::vector<std::string>{"a"}) == "[\"a\"]");
  CHECK(written(std::array<float, 2>{.5f, 1}) == "[0.5,1.0]");
  CHECK(written(std::vector<std::vector<int>>{{1}, {}}) == "[[1],[]]");
  CHECK(written(Json::list({Json::list({"a", 1})})) == "[[\"a\",1]]");
  CHECK(Json::object({{"faces", Json::list({Json::object({{"box", Json::list({1, 2})}})})},
                      {"none", Json::list()}})
            .dump(2) == R"({
  "faces": [
    {
      "box": [
        1,
        2
      ]
    }
  ],
  "none": []
})");
}

TEST_CASE("values are built bit by bit") {
  Json json;
  json["list"].push_back(1);
  json["list"].push_back("two");
  json["object"]["key"] = true;
  json["object"]["key"] = 7;
  CHECK(written(json) == R"({"list":[1,"two"],"object":{"key":7}})");
  Json other = Json::object({{"list", nullptr}, {"more", 1}});
  json.update(other);
  CHECK(json.dump(Json::kOneLine, Json::KeyOrder::as_added) ==
        R"({"list":null,"object":{"key":7},"more":1})");
  json.update(nullptr);
  Json copy = json;
  copy["list"] = std::move(other);
  CHECK(written(copy["list"]["more"]) == "1");
  CHECK(written(json["list"]) == "null");
  other = copy["list"];
  CHECK_THROWS_AS(json.push_back(1), std::logic_error);
  CHECK_THROWS_AS(other["more"]["key"] = 1, std::logic_error);
  CHECK_THROWS_AS(other.update(1), std::logic_error);
}
