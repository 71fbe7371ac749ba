#include "tests/fuzz/fuzz.h"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "base/file.h"
#include "base/parallel.h"

namespace maskwatch::fuzz {
namespace {

// Puts a number at which programs stumble in the place of one in the text.
void change_number(std::string& text, Random& random) {
  static constexpr std::array<const char*, 16> kNumbers{
      "0",     "-1",   "1",          "2",           "3",    "31",    "64",  "1023",
      "65536", "4096", "2147483647", "-2147483648", "1e30", "1e-30", "0.5", "9223372036854775807"};
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  constexpr const char* kDigits = "0123456789";
  for (std::size_t at = 0; (at = text.find_first_of(kDigits, at)) != std::string::npos;) {
    const std::size_t end = std::min(text.find_first_not_of(kDigits, at), text.size());
    runs.emplace_back(at, end - at);
    at = end;
  }
  if (runs.empty()) return;
  const auto [at, length] =
      runs[static_cast<std::size_t>(random.below(static_cast<int>(runs.size())))];
  text.replace(at, length, kNumbers[static_cast<std::size_t>(random.below(kNumbers.size()))]);
}

}  // namespace

void set_small_limits() {
  setenv("MASKWATCH_MAX_MEGAPIXELS", "1", 1);
  setenv("MASKWATCH_MAX_FILE_MB", "16", 1);
  setenv("MASKWATCH_MAX_NETWORK_MB", "64", 1);
  setenv("MASKWATCH_MAX_NETWORK_GMACS", "1", 1);
  set_threads(1);
}

bool expect_faults(const std::function<void()>& body) {
  try {
    body();
    return true;
  } catch (const std::runtime_error&) {
    return false;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

void mutate_safetensors(std::string& bytes, std::size_t most, const Mutator& plain,
                        Random& random) {
  constexpr std::size_t kLength = 8;
  std::uint64_t length = 0;
  if (bytes.size() < kLength) return plain(bytes, most);
  std::memcpy(&length, bytes.data(), kLength);
  if (length > bytes.size() - kLength || random.chance(0.02)) return plain(bytes, most);
  std::string header = bytes.substr(kLength, length), values = bytes.substr(kLength + length);
  const std::size_t room = most > kLength + values.size() ? most - kLength - values.size() : 0;
  if (random.chance(0.1) && !values.empty())
    plain(values, values.size());
  else if (random.chance(0.5))
    change_number(header, random);
  else
    plain(header, room);
  if (header.size() > room) header.resize(room);
  length = header.size();
  std::memcpy(bytes.data(), &length, kLength);
  bytes.resize(kLength);
  bytes += header + values;
}

std::string bytes_of(const std::function<void(const std::string& path)>& save) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("maskwatch_fuzz_" + std::to_string(getpid()) + ".tmp"))
                               .string();
  save(path);
  std::string bytes = read_file(path);
  std::filesystem::remove(path);
  return bytes;
}

}  // namespace maskwatch::fuzz
