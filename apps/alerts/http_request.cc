#include "apps/alerts/http_request.h"

#include <algorithm>

#include "base/percent.h"

namespace maskwatch::apps {
namespace {

constexpr std::size_t kMostHeaders = 100;

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(c)) ==
               std::string_view::npos;
  });
}

bool has_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  const std::size_t end = text.find_last_not_of(" \t");
  return end == std::string_view::npos ? "" : text.substr(begin, end + 1 - begin);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

// What stands before `separator`; `rest` goes on behind it.
std::string_view next_part(std::string_view& rest, std::string_view separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + separator.size(), rest.size()));
  return part;
}

// "GET /path?query HTTP/1.1"
bool parse_first_line(std::string_view line, HttpRequest& request) {
  const std::string_view method = next_part(line, " "), target = next_part(line, " ");
  if (!is_token(method) || target.empty() || target[0] != '/' || has_controls(target)) return false;
  if (line != "HTTP/1.1" && line != "HTTP/1.0") return false;
  const std::size_t question = std::min(target.find('?'), target.size());
  const auto path = percent_decoded(target.substr(0, question));
  if (!path || has_controls(*path)) return false;
  request.method = method;
  request.path = *path;
  request.query = target.substr(std::min(question + 1, target.size()));
  return true;
}

}  // namespace

std::string HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return "";
}

std::string HttpRequest::field(std::string_view name) const {
  for (std::string_view rest = query; !rest.empty();) {
    std::string_view value = next_part(rest, "&");
    if (next_part(value, "=") == name) return percent_decoded(value).value_or("");
  }
  return "";
}

std::string HttpRequest::cookie(std::string_view name) const {
  const std::string all = header("cookie");
  for (std::string_view rest = all; !rest.empty();) {
    std::string_view value = next_part(rest, ";");
    if (trimmed(next_part(value, "=")) == name) return std::string(trimmed(value));
  }
  return "";
}

HttpParse parse_http_request(std::string_view bytes, HttpRequest& request) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return bytes.size() > kLongestHead ? HttpParse::bad : HttpParse::incomplete;
  if (end > kLongestHead) return HttpParse::bad;
  std::string_view rest = bytes.substr(0, end);
  HttpRequest found;
  if (!parse_first_line(next_part(rest, "\r\n"), found)) return HttpParse::bad;
  while (!rest.empty()) {
    std::string_view value = next_part(rest, "\r\n");
    const std::string_view name = next_part(value, ":");
    if (!is_token(name) || has_controls(value) || found.headers.size() >= kMostHeaders)
      return HttpParse::bad;
    found.headers.emplace_back(lower(name), trimmed(value));
  }
  request = std::move(found);
  return HttpParse::complete;
}

}  // namespace maskwatch::apps
