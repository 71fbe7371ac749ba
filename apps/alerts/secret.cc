#include "apps/alerts/secret.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "apps/common/program.h"
#include "base/file.h"

namespace maskwatch::apps {

std::string read_secret(const std::string& option, const std::string& file, const char* variable) {
  std::string secret;
  std::string origin = variable;
  if (!file.empty()) {
    origin = option + " " + file;
    secret = read_file(file);
    secret.erase(std::min(secret.find('\n'), secret.size()));
    if (!secret.empty() && secret.back() == '\r') secret.pop_back();
    if (secret.empty()) throw UsageError(origin + ": its first line is empty");
  } else if (const char* value = std::getenv(variable)) {
    secret = value;
  }
  if (std::any_of(secret.begin(), secret.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    throw UsageError(origin + ": holds control characters");
  return secret;
}

bool same_secret(const std::string& one, const std::string& other) {
  unsigned difference = one.size() != other.size();
  for (std::size_t i = 0; i < one.size(); ++i)
    difference |= static_cast<unsigned char>(one[i]) ^
                  static_cast<unsigned char>(other.empty() ? 0 : other[i % other.size()]);
  return difference == 0;
}

}  // namespace maskwatch::apps
