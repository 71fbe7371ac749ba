#include "nn/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string_view>

#include "base/file.h"
#include "nn/foreign_model.h"

namespace maskwatch::nn {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxHeaderBytes = 16u << 20;
constexpr std::size_t kMaxTensors = 65536;
constexpr std::size_t kMaxHeaderValues = 20 * kMaxTensors;  // keys, numbers, lists …: 20 a tensor
constexpr std::size_t kMaxRank = 8;
// Values in a tensor; where addresses have 32 bits, as many as their bytes can be counted.
constexpr std::size_t kMaxCount = std::min<std::uint64_t>(std::uint64_t{1} << 38, SIZE_MAX / 4);
constexpr const char* kMetadata = "__metadata__";

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = (half >> 10) & 31, fraction = half & 1023;
  if (exponent == 0)
    return std::copysign(std::ldexp(static_cast<float>(fraction), -24), sign ? -1.0f : 1.0f);
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

// Round to nearest, ties to even.
std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const float magnitude = std::fabs(value);
  if (!(magnitude < 65520.0f))
    throw std::invalid_argument(fmt::format("{} does not fit in half precision", value));
  if (magnitude < 0x1p-14f)
    return static_cast<std::uint16_t>(
        sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  const std::uint32_t rounded = (bits & 0x7FFFFFFF) + 0xFFF + ((bits >> 13) & 1);
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

void append_halves(std::string& bytes, const Tensor& tensor) {
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    const std::uint16_t half = float_to_half(tensor.data()[i]);
    bytes.append(reinterpret_cast<const char*>(&half), sizeof half);
  }
}

struct ValueType {
  const char* name;
  std::size_t bytes;
  float (*read)(const char*);
};

template <typename Bits>
Bits bits_at(const char* p) {
  Bits bits;
  std::memcpy(&bits, p, sizeof bits);
  return bits;
}

constexpr ValueType kValueTypes[] = {
    {"F32", 4, [](const char* p) { return bits_at<float>(p); }},
    {"F16", 2, [](const char* p) { return half_to_float(bits_at<std::uint16_t>(p)); }},
    {"BF16", 2,
     [](const char* p) {
       return std::bit_cast<float>(static_cast<std::uint32_t>(bits_at<std::uint16_t>(p)) << 16);
     }},
    {"I8", 1, [](const char* p) { return static_cast<float>(bits_at<std::int8_t>(p)); }},
};
constexpr const ValueType &kF32 = kValueTypes[0], &kF16 = kValueTypes[1], &kI8 = kValueTypes[3];
constexpr const char* kScaleSuffix = "_scale";

struct Entry {
  std::string name;
  const ValueType* type;
  Shape shape;
  std::size_t begin, end;
};

// Goes through a header before it is kept, so that a hostile one is refused before it costs memory.
// Keys must differ: the parser would keep one of two without a word. (The parser's own callback for
// this takes time with the square of the number of tensors.)
class HeaderCheck : public nlohmann::json_sax<json> {
 public:
  // Empty when nothing is wrong.
  std::string fault;

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool start_object(std::size_t) override { return keys_.clear(), enter(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    std::set<std::string>& seen = depth_ == 1 ? names_ : keys_;
    if (!seen.insert(name).second) return refuse("the header names \"" + name + "\" twice");
    if (names_.size() > kMaxTensors)
      return refuse(fmt::format("more than {} tensors", kMaxTensors));
    return count();
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override {
    return refuse("the header is not JSON");
  }

 private:
  bool refuse(std::string what) {
    fault = std::move(what);
    return false;
  }
  bool count() {
    if (++values_ <= kMaxHeaderValues) return true;
    return refuse(fmt::format("more than {} values in the header", kMaxHeaderValues));
  }
  bool enter() { return ++depth_ <= kMaxDepth ? count() : refuse("the header nests too deep"); }
  bool leave() { return --depth_, true; }

  static constexpr int kMaxDepth = 3;  // the header, a tensor, its shape
  int depth_ = 0;
  std::size_t values_ = 0;
  std::set<std::string> names_, keys_;  // of the header, of the object in it
};

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw std::runtime_error(name + ": not a valid safetensors file: " + what);
}

// The first bytes of a file of `size`: the length of its header.
void check_beginning(std::string_view first, std::size_t size, const std::string& name) {
  if (first.size() < kLengthBytes) fail(name, "shorter than 8 bytes");
  const auto length = bits_at<std::uint64_t>(first.data());
  if (length > kMaxHeaderBytes)
    fail(name, fmt::format("header of {} bytes (at most {})", length, kMaxHeaderBytes));
  if (length > size - kLengthBytes)
    fail(name, fmt::format("header of {} bytes in a file of {} (truncated?)", length, size));
  if (length == 0) fail(name, "the header is not JSON");
}

class Reader {
 public:
  // Both are kept by the caller.
  Reader(std::string_view bytes, const std::string& name) : name_(name), bytes_(bytes) {}

  Safetensors read() {
    const json header = parse_header();
    Safetensors contents;
    std::map<std::size_t, Entry> by_offset;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata) {
        contents.metadata = parse_metadata(value);
        continue;
      }
      Entry entry = parse_entry(name, value);
      // Empty tensors take no room, so any number of them may begin at one offset.
      if (entry.begin == entry.end) {
        contents.tensors[name] = Tensor::empty(entry.shape);
        continue;
      }
      if (const auto [other, fresh] = by_offset.emplace(entry.begin, entry); !fresh)
        fail("tensors " + other->second.name + " and " + name + " overlap");
    }
    check_no_holes(by_offset);
    for (const auto& [offset, entry] : by_offset) contents.tensors[entry.name] = values_of(entry);
    std::set<std::string> integers;
    for (const auto& [offset, entry] : by_offset)
      if (entry.type == &kI8) integers.insert(entry.name);
    for (const std::string& name : integers) scale(name, integers, contents.tensors);
    contents.rounded = !integers.empty();
    return contents;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { nn::fail(name_, what); }

  std::size_t data_bytes() const { return bytes_.size() - data_begin_; }

  json parse_header() {
    if (const std::string what = foreign_model(bytes_, name_); !what.empty()) fail("it is " + what);
    check_beginning(bytes_, bytes_.size(), name_);
    const auto length = bits_at<std::uint64_t>(bytes_.data());
    data_begin_ = kLengthBytes + static_cast<std::size_t>(length);
    const char* begin = bytes_.data() + kLengthBytes;
    HeaderCheck check;
    json::sax_parse(begin, begin + length, &check);
    if (!check.fault.empty()) fail(check.fault);
    const json header = json::parse(begin, begin + length);
    if (!header.is_object()) fail("the header is not a JSON object");
    return header;
  }

  std::map<std::string, std::string> parse_metadata(const json& value) const {
    std::map<std::string, std::string> metadata;
    if (!value.is_object()) fail("__metadata__ is not an object");
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) fail("metadata " + key + " is not a string");
      metadata[key] = text.get<std::string>();
    }
    return metadata;
  }

  std::size_t size_at(const json& value, const std::string& what) const {
    if (!value.is_number_unsigned()) fail(what + " is not a non-negative integer");
    return value.get<std::size_t>();
  }

  Entry parse_entry(const std::string& name, const json& value) const {
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets"))
      fail("tensor " + name + " lacks dtype, shape or data_offsets");
    const json &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
    Entry entry{name, nullptr, {}, 0, 0};
    for (const ValueType& type : kValueTypes)
      if (dtype.is_string() && dtype.get_ref<const std::string&>() == type.name) entry.type = &type;
    if (!entry.type)
      fail("tensor " + name + " has dtype " + dtype.dump() + " (F32, F16, BF16 and I8 are known)");
    if (!shape.is_array() || shape.size() > kMaxRank) fail("tensor " + name + " has a bad shape");
    std::size_t count = 1;
    for (const json& dim : shape) {
      const std::size_t size = size_at(dim, "a dimension of " + name);
      if (size > kMaxCount || (size != 0 && count > kMaxCount / size))
        fail("tensor " + name + " is too large");
      count *= size;
      entry.shape.push_back(static_cast<std::int64_t>(size));
    }
    if (!offsets.is_array() || offsets.size() != 2)
      fail("tensor " + name + " has bad data_offsets");
    entry.begin = size_at(offsets[0], "an offset of " + name);
    entry.end = size_at(offsets[1], "an offset of " + name);
    if (entry.begin > entry.end || entry.end > data_bytes())
      fail(fmt::format("tensor {} lies at {}..{} of {} bytes of values (truncated?)", name,
                       entry.begin, entry.end, data_bytes()));
    if (entry.end - entry.begin != count * entry.type->bytes)
      fail(fmt::format("tensor {} takes {} bytes, its shape {}", name, entry.end - entry.begin,
                       count * entry.type->bytes));
    return entry;
  }

  // Integers become the numbers that they stand for.
  void scale(const std::string& name, const std::set<std::string>& all_integers,
             std::map<std::string, Tensor>& tensors) const {
    if (all_integers.contains(name + kScaleSuffix))
      fail("tensor " + name + kScaleSuffix + " is I8, and no scales");
    const auto found = tensors.find(name + kScaleSuffix);
    const Tensor& integers = tensors.at(name);
    if (found == tensors.end()) fail("tensor " + name + " is I8 without its scales");
    if (integers.shape().empty() || found->second.shape() != Shape{integers.dim(-1)})
      fail("tensor " + found->first + " has shape " + to_string(found->second.shape()) +
           " for scales of " + to_string(integers.shape()));
    const std::int64_t channels = integers.dim(-1);
    for (std::int64_t i = 0; i < integers.count(); ++i)
      integers.data()[i] *= found->second.data()[i % channels];
    tensors.erase(found);
  }

  void check_no_holes(const std::map<std::size_t, Entry>& by_offset) const {
    std::size_t expected = 0;
    for (const auto& [begin, entry] : by_offset) {
      if (begin != expected)
        fail("tensor " + entry.name + (begin < expected ? " overlaps another" : " follows a hole"));
      expected = entry.end;
    }
    if (expected != data_bytes()) fail("bytes after the last tensor");
  }

  Tensor values_of(const Entry& entry) const {
    Tensor tensor = Tensor::empty(entry.shape);
    const char* source = bytes_.data() + data_begin_ + entry.begin;
    for (std::int64_t i = 0; i < tensor.count(); ++i)
      tensor.data()[i] = entry.type->read(source + static_cast<std::size_t>(i) * entry.type->bytes);
    return tensor;
  }

  const std::string& name_;
  std::string_view bytes_;
  std::size_t data_begin_ = 0;
};

}  // namespace

Safetensors load_safetensors(const std::string& path) {
  if (const std::string what = foreign_model_folder(path); !what.empty())
    throw std::runtime_error(path + ": not a safetensors file: it is " + what);
  // What has no header, and is no other program's model either, is not read to its end.
  const std::string bytes = read_file(path, [&](std::string_view first, std::size_t size) {
    if (foreign_model(first, path).empty()) check_beginning(first, size, path);
  });
  return Reader(bytes, path).read();
}

Safetensors load_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  return Reader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name).read();
}

namespace {

// A tensor as it is written.
struct Written {
  const ValueType* type;
  Shape shape;
  std::string bytes;
};

template <typename Number>
std::string bytes_of(const Number* numbers, std::int64_t count) {
  return {reinterpret_cast<const char*>(numbers), static_cast<std::size_t>(count) * sizeof(Number)};
}

bool is_weight(const std::string& name, const Tensor& tensor) {
  return name.ends_with("weight") && tensor.shape().size() >= 2 && tensor.count() > 0;
}

// Integers, and their scales.
void write_integers(const std::string& name, const Tensor& tensor,
                    std::map<std::string, Written>& written) {
  constexpr float kMost = 127;
  const std::int64_t channels = tensor.dim(-1);
  std::vector<float> scales(static_cast<std::size_t>(channels));
  const auto scale_of = [&](std::int64_t i) -> float& {
    return scales[static_cast<std::size_t>(i % channels)];
  };
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    scale_of(i) = std::max(scale_of(i), std::abs(tensor.data()[i]) / kMost);
  std::vector<std::int8_t> integers;
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    const float scale = scale_of(i);
    const float integer = scale > 0 ? std::round(tensor.data()[i] / scale) : 0;
    integers.push_back(static_cast<std::int8_t>(std::clamp(integer, -kMost, kMost)));
  }
  written[name] = {&kI8, tensor.shape(), bytes_of(integers.data(), std::ssize(integers))};
  written[name + kScaleSuffix] = {&kF32, {channels}, bytes_of(scales.data(), channels)};
}

std::map<std::string, Written> written_tensors(const std::string& path,
                                               const std::map<std::string, Tensor>& tensors,
                                               Precision precision) {
  std::map<std::string, Written> written;
  for (const auto& [name, values] : tensors) {
    const Tensor tensor = values.cpu();
    if (precision == Precision::i8 && is_weight(name, tensor)) {
      write_integers(name, tensor, written);
      continue;
    }
    if (precision == Precision::f32) {
      written[name] = {&kF32, tensor.shape(), bytes_of(tensor.data(), tensor.count())};
      continue;
    }
    try {
      Written& halves = written[name] = {&kF16, tensor.shape(), {}};
      append_halves(halves.bytes, tensor);
    } catch (const std::invalid_argument& fault) {
      throw std::invalid_argument(
          fmt::format("save_safetensors: {}: tensor {}: {}", path, name, fault.what()));
    }
  }
  return written;
}

}  // namespace

void save_safetensors(const std::string& path, const Safetensors& contents, Precision precision) {
  const auto tensors = written_tensors(path, contents.tensors, precision);
  json header = json::object();
  if (!contents.metadata.empty()) header[kMetadata] = contents.metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t end = offset + tensor.bytes.size();
    header[name] = {
        {"dtype", tensor.type->name}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  // Metadata that is not UTF-8 (labels are names of folders) must not lose a trained model.
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string bytes(kLengthBytes, '\0');
  const std::uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, kLengthBytes);
  bytes += text;
  bytes.reserve(bytes.size() + offset);
  for (const auto& [name, tensor] : tensors) bytes += tensor.bytes;
  write_file_atomically(path, bytes);
}

}  // namespace maskwatch::nn
