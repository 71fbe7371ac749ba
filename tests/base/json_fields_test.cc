#include "base/json_fields.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>
#include <stdexcept>

#include "tests/nn/temporary.h"

using namespace maskwatch;
using namespace nn_test;

namespace {

const char* const kText =
    R"({"name": "net", "scale": 0.5, "nothing": null, "huge": 18446744073709551615,
        "layers": [{"stride": 2}, {"stride": "two"}, 7], "pad": [1, 2.5], "names": ["a", "b"]})";

JsonFields parsed() { return JsonFields::parse(kText, "model.json"); }

template <typename Read>
std::string fault(const Read& read) {
  return message_of<std::runtime_error>([&] { read(parsed()); });
}

}  // namespace

TEST_CASE("values are read by name and place") {
  const JsonFields json = parsed();
  CHECK(json["name"].text() == "net");
  CHECK(json["scale"].number() == .5);
  CHECK(json["huge"].number() == 18446744073709551615.);
  CHECK(json["layers"].list()[0]["stride"].whole_number(1, 2) == 2);
  CHECK(json["layers"].list()[2].number() == 7);
  CHECK(json["pad"].numbers(2) == std::vector<double>{1, 2.5});
  CHECK(json["names"].texts() == std::vector<std::string>{"a", "b"});
  CHECK(json["nothing"].is_null());
  CHECK_FALSE(json["name"].is_null());
  CHECK(json.has("name"));
  CHECK_FALSE(json.has("Name"));
  CHECK_FALSE(json["name"].has("name"));
}

TEST_CASE("values are asked what they are") {
  const JsonFields json = parsed();
  CHECK(json["name"].is_text());
  CHECK_FALSE(json["scale"].is_text());
  CHECK(json["scale"].is_number());
  CHECK(json["huge"].is_number());
  CHECK_FALSE(json["name"].is_number());
  CHECK(json["pad"].is_list());
  CHECK_FALSE(json.is_list());
  CHECK(json["pad"].size() == 2);
  CHECK(json.find("pad")->size() == 2);
  CHECK_FALSE(json.find("Pad"));
  CHECK_FALSE(json["pad"].find("pad"));
  const JsonFields truths = JsonFields::parse("[true, false, 1]", "t.json");
  CHECK(truths.list()[0].is_true());
  CHECK_FALSE(truths.list()[1].is_true());
  CHECK_FALSE(truths.list()[2].is_true());
}

TEST_CASE("members come in the order of the text, and the last of several counts") {
  const JsonFields json = JsonFields::parse(R"({"b": [{}], "a": {"x": 1.50}, "b": "c"})", "m.json");
  std::string keys;
  for (const auto& [key, value] : json.members()) keys += key;
  CHECK(keys == "bab");
  CHECK(json["b"].text() == "c");
  CHECK(json["a"].dump() == R"({"x":1.5})");
  CHECK(json.members()[1].second.dump() == R"({"x":1.5})");
  CHECK(fault([](auto json) { json["layers"].list()[0].members()[0].second.text(); }) ==
        "model.json: layers[0].stride is not a string");
  CHECK(fault([](auto json) { json["pad"].members(); }) == "model.json: pad is not an object");
}

TEST_CASE("texts that are wide cost no more than their length") {
  std::string wide = "{";
  for (int i = 0; i < 300000; ++i) wide += "\"" + std::to_string(i) + "\":0,";
  wide.back() = '}';
  CHECK(JsonFields::parse(wide, "wide.json")["299999"].number() == 0);
}

TEST_CASE("faults name the file, the place and what is wrong") {
  CHECK(fault([](auto json) { json["stride"]; }) == "model.json: stride is missing");
  CHECK(fault([](auto json) { json["layers"].list()[0]["pad"]; }) ==
        "model.json: layers[0].pad is missing");
  CHECK(fault([](auto json) { json["layers"].list()[1]["stride"].whole_number(1, 64); }) ==
        "model.json: layers[1].stride is not a whole number from 1 to 64");
  CHECK(fault([](auto json) { json["layers"].list()[2]["stride"]; }) ==
        "model.json: layers[2] is not an object");
  CHECK(fault([](auto json) { json["scale"].text(); }) == "model.json: scale is not a string");
  CHECK(fault([](auto json) { json["nothing"].number(); }) ==
        "model.json: nothing is not a number");
  CHECK(fault([](auto json) { json["name"].list(); }) == "model.json: name is not a list");
  CHECK(fault([](auto json) { json.list(); }) == "model.json: is not a list");
  CHECK(fault([](auto json) { json["pad"].numbers(3); }) ==
        "model.json: pad is not a list of 3 numbers");
  CHECK(fault([](auto json) { json["names"].numbers(2); }) ==
        "model.json: names[0] is not a number");
  CHECK(fault([](auto json) { json["pad"].texts(); }) == "model.json: pad[0] is not a string");
}

TEST_CASE("whole numbers: fractions, other signs and what no 64 bits hold are refused") {
  CHECK(fault([](auto json) { json["scale"].whole_number(0, 1); }) ==
        "model.json: scale is not a whole number from 0 to 1");
  CHECK(contains(fault([](auto json) {
                   json["huge"].whole_number(std::numeric_limits<std::int64_t>::min(),
                                             std::numeric_limits<std::int64_t>::max());
                 }),
                 "huge is not a whole number"));
  const JsonFields bounds = JsonFields::parse("[-3, 5]", "b.json", "bounds");
  CHECK(bounds.list()[0].whole_number(-3, 5) == -3);
  CHECK(bounds.list()[1].whole_number(-3, 5) == 5);
  CHECK(message_of<std::runtime_error>([&] { bounds.list()[0].whole_number(-2, 5); }) ==
        "b.json: bounds[0] is not a whole number from -2 to 5");
}

TEST_CASE("what is not JSON is named") {
  for (const char* text : {"", "{", "{\"a\": 1,}", "[1] 2", "\"\xff\"", "[1e999]"}) {
    const std::string message = message_of<std::runtime_error>(
        [&] { JsonFields::parse(text, "model.json: metadata \"graph\""); });
    CHECK(message.find("model.json: metadata \"graph\": is not JSON: ") == 0);
    CHECK(message.find("json.exception") == std::string::npos);
  }
}

TEST_CASE("faults of a text without a name") {
  CHECK(message_of<std::runtime_error>([] {
          JsonFields::parse("[", "");
        }).starts_with("is not JSON: "));
  CHECK(message_of<std::runtime_error>([] { JsonFields::parse("{}", "")["a"]; }) == "a is missing");
}

TEST_CASE("a value outlives the one it came from") {
  std::optional<JsonFields> stride;
  {
    const JsonFields json = parsed();
    stride = json["layers"].list()[0]["stride"];
  }
  CHECK(stride->whole_number(0, 10) == 2);
}

TEST_CASE("a text that nests without end is refused") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(JsonFields::parse(nested(100), "f").is_list());
  for (const std::string& text : {nested(101), nested(1 << 20), std::string(1 << 20, '[')}) {
    std::string fault;
    try {
      JsonFields::parse(text, "f");
    } catch (const std::runtime_error& error) {
      fault = error.what();
    }
    CHECK(fault == "f: is not JSON: nested more than 100 deep");
  }
}
