// Round trips, a file of the Python library, and hostile files: each is refused with
// std::runtime_error that names it, or read as what it says.
#include "nn/safetensors.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <ctime>
#include <limits>
#include <random>
#include <span>

#include "tests/nn/allocations.h"
#include "tests/nn/temporary.h"

using namespace maskwatch;

using namespace nn;
using namespace nn_test;

namespace {

std::string with_length(const std::string& header) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header;
}

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// What load_safetensors says against these bytes; "" when it takes them. Any other exception fails
// the test.
std::string fault_of(const std::string& bytes) {
  try {
    load_safetensors(bytes_of(bytes), "hostile");
  } catch (const std::runtime_error& fault) {
    const std::string message = fault.what(), prefix = "hostile: not a valid safetensors file: ";
    REQUIRE_MESSAGE(message.starts_with(prefix), message);
    return message.substr(prefix.size());
  }
  return "";
}

std::string fault_of_header(const std::string& header, std::size_t data_bytes = 0) {
  return fault_of(with_length(header) + std::string(data_bytes, 'd'));
}

// A header of one tensor "t".
std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

Safetensors sample() {
  Safetensors contents;
  contents.metadata = {{"architecture", "test"}, {"labels", R"(["a \"b\"","ü"])"}};
  contents.tensors = {{"a", drawn({3, 5}, 1)},
                      {"b.weight", drawn({2, 2, 2}, 2)},
                      {"empty", Tensor::empty({0, 4})},
                      {"scalar", Tensor::full({}, 3)}};
  return contents;
}

std::string saved_sample(Precision precision = Precision::f32) {
  const TemporaryFolder folder;
  save_safetensors(folder.file("a"), sample(), precision);
  return read(folder.file("a"));
}

// The bits of a float written as half and read again.
float through_half(float value) {
  const TemporaryFolder folder;
  save_safetensors(folder.file("h"), {{}, {{"h", Tensor::full({1}, value)}}}, Precision::f16);
  return load_safetensors(folder.file("h")).tensors.at("h").item();
}

}  // namespace

TEST_CASE("what is saved comes back") {
  const TemporaryFolder folder;
  const Safetensors contents = sample();
  save_safetensors(folder.file("a"), contents);
  const Safetensors back = load_safetensors(folder.file("a"));
  CHECK(back.metadata == contents.metadata);
  REQUIRE(back.tensors.size() == contents.tensors.size());
  for (const auto& [name, tensor] : contents.tensors) {
    const std::string& tensor_name = name;  // clang 14 captures no structured binding
    CAPTURE(tensor_name);
    CHECK(back.tensors.at(name).shape() == tensor.shape());
    CHECK(back.tensors.at(name).values() == tensor.values());
  }
  save_safetensors(folder.file("b"), back);
  CHECK(read(folder.file("a")) == read(folder.file("b")));
  CHECK(read(folder.file("a")).size() % 4 == 0);
}

TEST_CASE("bytes are read as the file that holds them, and refused with the same words") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a"), bytes = saved_sample();
  write(path, bytes);
  const Safetensors from_file = load_safetensors(path);
  const Safetensors from_bytes = load_safetensors(bytes_of(bytes), "here");
  CHECK(from_bytes.metadata == from_file.metadata);
  REQUIRE(from_bytes.tensors.size() == from_file.tensors.size());
  for (const auto& [name, tensor] : from_file.tensors)
    CHECK(from_bytes.tensors.at(name).values() == tensor.values());
  const std::string cut = bytes.substr(0, bytes.size() - 1);
  write(path, cut);
  const auto fault_from = [](const auto&... source) {
    return message_of<std::runtime_error>([&] { load_safetensors(source...); });
  };
  CHECK(fault_from(path).starts_with(path + ": not a valid safetensors file: tensor "));
  CHECK(fault_from(path) == fault_from(bytes_of(cut), path));
  CHECK(contains(fault_from(std::span<const std::byte>(), "here"), "here: not a valid"));
}

TEST_CASE("every half, written and read, is itself") {
  std::string data;
  for (int bits = 0; bits < 65536; ++bits)
    for (const int byte : {bits & 255, bits >> 8}) data.push_back(static_cast<char>(byte));
  const TemporaryFolder folder;
  write(folder.file("a"), with_length(entry("\"F16\"", "[65536]", "[0,131072]")) + data);
  Safetensors halves = load_safetensors(folder.file("a"));
  float* numbers = halves.tensors.at("t").data();
  CHECK(numbers[0x3C00] == 1);
  CHECK(numbers[0x0001] == 0x1p-24f);
  CHECK(numbers[0x83FF] == -1023 * 0x1p-24f);
  CHECK(numbers[0x0400] == 0x1p-14f);
  CHECK(numbers[0x7BFF] == 65504);
  CHECK(std::signbit(numbers[0x8000]));
  for (int bits = 0; bits < 65536; ++bits) {
    if ((bits & 0x7C00) != 0x7C00) continue;
    CHECK_UNARY((bits & 0x3FF) == 0 ? std::isinf(numbers[bits]) : std::isnan(numbers[bits]));
    numbers[bits] = 0;  // not to be written as half
    data[static_cast<std::size_t>(2 * bits)] = data[static_cast<std::size_t>(2 * bits + 1)] = 0;
  }
  save_safetensors(folder.file("b"), halves, Precision::f16);
  const std::string again = read(folder.file("b"));
  CHECK(again.substr(again.size() - data.size()) == data);
}

TEST_CASE("halves are rounded to nearest, ties to even") {
  // numpy 2.4: float(numpy.float16(numpy.float32(x)))
  CHECK(through_half(1 + 0x1p-11f) == 1);
  CHECK(through_half(1 + 3 * 0x1p-11f) == 1 + 4 * 0x1p-11f);
  CHECK(through_half(1 + 0x1.01p-11f) == 1 + 0x1p-10f);
  CHECK(through_half(0.1f) == 0.0999755859375f);
  CHECK(through_half(-3.14159f) == -3.140625f);
  CHECK(through_half(65519.996f) == 65504);
  CHECK(through_half(2047.5f * 0x1p-25f) == 0x1p-14f);
  CHECK(through_half(0x1p-25f) == 0);
  CHECK(through_half(0x1.01p-25f) == 0x1p-24f);
  CHECK(through_half(3 * 0x1p-25f) == 0x1p-23f);
  CHECK(through_half(1e-30f) == 0);
  CHECK(std::signbit(through_half(-1e-30f)));
}

TEST_CASE("what no half can hold is refused by name and nothing is written") {
  const TemporaryFolder folder;
  for (const float value : {65520.0f, -1e10f, std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
    CAPTURE(value);
    const std::string message = message_of<std::invalid_argument>([&] {
      save_safetensors(folder.file("a"), {{}, {{"wide", Tensor::full({1}, value)}}},
                       Precision::f16);
    });
    CHECK(contains(message, "tensor wide"));
    CHECK(contains(message, "does not fit in half precision"));
  }
  CHECK(folder.count() == 0);
}

TEST_CASE("BF16 is the upper half of a float") {
  const TemporaryFolder folder;
  write(folder.file("a"), with_length(entry("\"BF16\"", "[2]", "[0,4]")) + "\x80\x3F\x49\xC0");
  CHECK(load_safetensors(folder.file("a")).tensors.at("t").values() ==
        std::vector<float>{1, -3.140625f});
}

TEST_CASE("I8 stands for integers times the scales of the last axis") {
  const std::string header = R"({"a":{"dtype":"I8","shape":[2,2],"data_offsets":[0,4]},)"
                             R"("a_scale":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})";
  const float scales[] = {0.5f, 2};
  std::string bytes = with_length(header) + std::string("\x7f\x81\x02\x00", 4);
  bytes.append(reinterpret_cast<const char*>(scales), sizeof scales);
  const Safetensors contents = load_safetensors(bytes_of(bytes), "integers");
  REQUIRE(contents.tensors.size() == 1);
  const float* a = contents.tensors.at("a").data();
  CHECK(std::vector<float>(a, a + 4) == std::vector<float>{63.5f, -254, 1, 0});
}

TEST_CASE("I8 without scales, or with others than one for each index of the last axis") {
  const std::string a = R"({"a":{"dtype":"I8","shape":[1,4],"data_offsets":[0,4]})";
  CHECK(fault_of_header(a + "}", 4) == "tensor a is I8 without its scales");
  CHECK(fault_of_header(a + R"(,"a_scale":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                        12) == "tensor a_scale has shape [2] for scales of [1, 4]");
  CHECK(fault_of_header(a + R"(,"a_scale":{"dtype":"I8","shape":[4],"data_offsets":[4,8]},)"
                            R"("a_scale_scale":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})",
                        24) == "tensor a_scale is I8, and no scales");
}

TEST_CASE("a file written by the Python library") {
  // safetensors 0.8.0: safetensors.numpy.save({"weight": [[1.5, -2, 0.1], [3e-45, inf, -0.0]],
  // "half": float16 [1, 65504, 6e-8, -2.5], "empty": zeros((0, 3)), "scalar": 7}, metadata=
  // {"architecture": "test", "naïve": "yes"}).hex()
  const TemporaryFolder folder;
  write(
      folder.file("a"),
      from_hex(
          "28010000000000007b225f5f6d657461646174615f5f223a7b226e61c3af7665223a22796573222c22617263"
          "686974656374757265223a2274657374227d2c22656d707479223a7b226474797065223a22463332222c2273"
          "68617065223a5b302c335d2c22646174615f6f666673657473223a5b302c305d7d2c227363616c6172223a7b"
          "226474797065223a22463332222c227368617065223a5b5d2c22646174615f6f666673657473223a5b302c34"
          "5d7d2c22776569676874223a7b226474797065223a22463332222c227368617065223a5b322c335d2c226461"
          "74615f6f666673657473223a5b342c32385d7d2c2268616c66223a7b226474797065223a22463136222c2273"
          "68617065223a5b345d2c22646174615f6f666673657473223a5b32382c33365d7d7d2020202020200000e040"
          "0000c03f000000c0cdcccc3d020000000000807f00000080003cff7b010000c1"));
  const Safetensors contents = load_safetensors(folder.file("a"));
  CHECK(contents.metadata ==
        std::map<std::string, std::string>{{"architecture", "test"}, {"naïve", "yes"}});
  const auto weight = contents.tensors.at("weight").values();
  CHECK(contents.tensors.at("weight").shape() == Shape{2, 3});
  CHECK(std::vector<float>(weight.begin(), weight.begin() + 4) ==
        std::vector<float>{1.5, -2, 0.1f, 3e-45f});
  CHECK(std::isinf(weight[4]));
  CHECK(std::signbit(weight[5]));
  CHECK(contents.tensors.at("half").values() == std::vector<float>{1, 65504, 0x1p-24f, -2.5});
  CHECK(contents.tensors.at("empty").shape() == Shape{0, 3});
  CHECK(contents.tensors.at("scalar").shape().empty());
  CHECK(contents.tensors.at("scalar").item() == 7);
}

TEST_CASE("metadata that is not UTF-8 is saved with a mark in their place") {
  const TemporaryFolder folder;
  save_safetensors(folder.file("a"), {{{"labels", "caf\xE9"}}, {}});
  CHECK(load_safetensors(folder.file("a")).metadata.at("labels") == "caf\xEF\xBF\xBD");
}

TEST_CASE("truncated at every byte") {
  for (const Precision precision : {Precision::f32, Precision::f16, Precision::i8}) {
    const std::string bytes = saved_sample(precision);
    CHECK(fault_of(bytes) == "");
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK(fault_of(bytes.substr(0, size)) != "");
    }
    CHECK(contains(fault_of(bytes + "x"), "bytes after the last tensor"));
  }
}

TEST_CASE("header lengths that do not fit the file") {
  const std::string header = entry("\"F32\"", "[1]", "[0,4]");
  for (const std::uint64_t length :
       {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{1} << 40, std::uint64_t{16} << 20,
        std::uint64_t{header.size() + 5}}) {
    CAPTURE(length);
    std::string bytes = with_length(header) + "data";
    std::memcpy(bytes.data(), &length, 8);
    CHECK(contains(fault_of(bytes), "header of " + std::to_string(length) + " bytes"));
  }
  CHECK(fault_of("") == "shorter than 8 bytes");
  CHECK(fault_of(std::string(8, '\0')) == "the header is not JSON");
}

TEST_CASE("headers that are not a JSON object of tensors") {
  CHECK(fault_of_header("{") == "the header is not JSON");
  CHECK(fault_of_header("{} {}") == "the header is not JSON");
  CHECK(fault_of_header("not json at all!") == "the header is not JSON");
  CHECK(fault_of_header("{\"a\xFF\":1}") == "the header is not JSON");
  CHECK(fault_of_header(std::string("{\0}", 3)) == "the header is not JSON");
  for (const char* other : {"[]", "7", "null", "\"text\"", "[[1]]"})
    CHECK(fault_of_header(other) == "the header is not a JSON object");
  CHECK(fault_of_header("{}") == "");
  for (const char* value : {"7", "null", "[]", "{}", R"({"dtype":"F32","shape":[]})"})
    CHECK(contains(fault_of_header(std::string(R"({"t":)") + value + "}"),
                   "tensor t lacks dtype, shape or data_offsets"));
  CHECK(fault_of_header(R"({"__metadata__":[]})") == "__metadata__ is not an object");
  CHECK(fault_of_header(R"({"__metadata__":{"a":1}})") == "metadata a is not a string");
}

TEST_CASE("deep nesting costs nothing") {
  for (const int depth : {4, 100, 1000000}) {
    const auto levels = static_cast<std::size_t>(depth);
    const std::string lists = std::string(levels, '[') + std::string(levels, ']');
    CHECK(fault_of_header(R"({"t":)" + lists + "}") == "the header nests too deep");
    std::string objects;
    for (int i = 0; i < std::min(depth, 100000); ++i) objects += R"({"a":)";
    CHECK(fault_of_header(objects) == "the header nests too deep");
  }
}

TEST_CASE("names given twice") {
  const std::string t = R"("t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK(fault_of_header("{" + t + "," + t + "}", 4) == "the header names \"t\" twice");
  CHECK(fault_of_header(R"({"t":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}})",
                        4) == "the header names \"shape\" twice");
  CHECK(fault_of_header(R"({"__metadata__":{"a":"1","a":"2"}})") == "the header names \"a\" twice");
  CHECK(fault_of_header(R"({"__metadata__":{"dtype":"1"},)" + t + "}", 4) == "");
}

TEST_CASE("types that are unknown") {
  for (const char* dtype : {"\"F64\"", "\"I64\"", "\"\"", "\"f32\"", "7", "null", "[\"F32\"]"})
    CHECK(contains(fault_of_header(entry(dtype, "[1]", "[0,4]"), 4),
                   std::string("tensor t has dtype ") + dtype));
}

TEST_CASE("dimensions that are not sizes, or do not fit the bytes") {
  for (const char* shape : {"[-1]", "[1.0]", "[1e0]", "[\"1\"]", "[null]", "[[1]]", "[true]",
                            "[18446744073709551616]", "[-0]"})
    CHECK_MESSAGE(fault_of_header(entry("\"F32\"", shape, "[0,4]"), 4) != "", shape);
  for (const char* shape :
       {"[18446744073709551615]", "[9223372036854775808]", "[4294967296,4294967296]",
        "[65536,65536,65536,65536]", "[1,4611686018427387905]", "[0,9223372036854775808]",
        "[18446744073709551615,0]"})
    CHECK_MESSAGE(fault_of_header(entry("\"F32\"", shape, "[0,4]"), 4) == "tensor t is too large",
                  shape);
  CHECK(fault_of_header(entry("\"F32\"", "7", "[0,4]"), 4) == "tensor t has a bad shape");
  CHECK(fault_of_header(entry("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4) ==
        "tensor t has a bad shape");
  CHECK(fault_of_header(entry("\"F32\"", "[2]", "[0,4]"), 4) ==
        "tensor t takes 4 bytes, its shape 8");
  CHECK(fault_of_header(entry("\"F16\"", "[1]", "[0,4]"), 4) ==
        "tensor t takes 4 bytes, its shape 2");
  CHECK(fault_of_header(entry("\"F32\"", "[0,274877906944]", "[0,0]")) == "");
}

TEST_CASE("offsets that are not positions, or lie outside") {
  for (const char* offsets :
       {"[-4,0]", "[0,4.0]", "[0.5,4]", "[0]", "[0,4,8]", "7", "{}", "[0,\"4\"]", "[4,0]", "[0,8]",
        "[0,18446744073709551615]", "[18446744073709551612,18446744073709551615]", "[1,5]"})
    CHECK_MESSAGE(fault_of_header(entry("\"F32\"", "[1]", offsets), 4) != "", offsets);
}

TEST_CASE("tensors that overlap, or leave a hole") {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second + "}}";
  };
  CHECK(fault_of_header(two("[0,8]", "[8,16]"), 16) == "");
  CHECK(fault_of_header(two("[8,16]", "[0,8]"), 16) == "");
  CHECK(fault_of_header(two("[0,8]", "[0,8]"), 8) == "tensors a and b overlap");
  CHECK(fault_of_header(two("[0,8]", "[4,12]"), 12) == "tensor b overlaps another");
  CHECK(fault_of_header(two("[0,8]", "[12,20]"), 20) == "tensor b follows a hole");
  CHECK(fault_of_header(two("[4,12]", "[12,20]"), 20) == "tensor a follows a hole");
  CHECK(fault_of_header(two("[0,8]", "[8,16]"), 20) == "bytes after the last tensor");
}

TEST_CASE("a million entries are refused at once and with little memory") {
  const auto million = [](const std::string& value, std::size_t most) {
    std::string header = "{";
    for (int i = 0; i < 1000000 && header.size() < most; ++i)
      header += fmt::format("\"{}\":{},", i, value);
    header.back() = '}';
    return header;
  };
  constexpr std::size_t limit = std::size_t{15} << 20;
  const std::string metadata = R"({"__metadata__":)" + million("\"\"", limit) + "}";
  std::string dims = R"({"t":{"dtype":"F32","data_offsets":[0,0],"shape":[0)";
  for (int i = 0; i < 2000000; ++i) dims += ",0";
  dims += "]}}";
  const std::string full = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  for (const std::string& header :
       {million(full, SIZE_MAX), million(full, limit), million("0", limit), metadata, dims}) {
    const std::string bytes = with_length(header);
    const auto before = allocations();
    const std::clock_t start = std::clock();  // of the processor: others use the machine too
    CHECK(fault_of(bytes) != "");
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    CHECK(seconds < 5);  // sanitizers are slow
    CHECK(allocations().bytes - before.bytes < bytes.size() + (std::size_t{100} << 20));
  }
}

TEST_CASE("a wide header of what is allowed is read") {
  std::string header = "{";
  for (int i = 0; i < 65536; ++i)
    header += fmt::format(R"("{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}},)", i);
  header.back() = '}';
  CHECK(fault_of_header(header) == "");
  header.back() = ',';
  CHECK(contains(fault_of_header(header + R"("more":0})"), "more than 65536 tensors"));
}

TEST_CASE("ten thousand mutations: each is read as it says or refused by name") {
  std::mt19937 random(20240229);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string tokens[] = {"-1",      "0",    "4",    "1e9",     "18446744073709551615",
                                "[",       "]",    "{",    "}",       ",",
                                ":",       "\"",   "null", "\"F16\"", "\"t\"",
                                "\\u0000", "[0,4]"};
  const std::string originals[] = {saved_sample(), saved_sample(Precision::f16)};
  int taken = 0;
  for (int round = 0; round < 10000; ++round) {
    std::string bytes = originals[below(2)];
    for (std::size_t edit = 0; edit <= below(3); ++edit) {
      // Most edits hit the header.
      const std::size_t at =
          below(below(4) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 400));
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
        case 2:
          bytes.erase(at, below(5));
          break;
        default:
          bytes.replace(at, below(4), tokens[below(std::size(tokens))]);
      }
      if (bytes.size() < 9) bytes.resize(9);
      // Or most would end at the length.
      const std::uint64_t length = bytes.rfind("    ", 500) == std::string::npos
                                       ? bytes.size() / 2
                                       : (bytes.rfind('}', 500) + 8) / 8 * 8 - 8;
      if (below(2) && length < bytes.size()) std::memcpy(bytes.data(), &length, 8);
    }
    try {
      const Safetensors contents = load_safetensors(bytes_of(bytes), "mutant");
      std::size_t values = 0;
      for (const auto& [name, tensor] : contents.tensors) values += tensor.values().size();
      CHECK(2 * values <= bytes.size());
      ++taken;
    } catch (const std::runtime_error& fault) {
      CHECK(std::string(fault.what()).starts_with("mutant: "));
    }
  }
  CHECK(taken > 100);  // edits of numbers alone do no harm: not all mutants fall at the first check
}
