// The head of an HTTP request (RFC 9112), as browsers and scrapers send it: GET and HEAD, without a
// body.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maskwatch::apps {

// A head that is longer is refused.
inline constexpr std::size_t kLongestHead = 8192;

struct HttpRequest {
  std::string method;                                        // "GET"
  std::string path;                                          // "/metrics"; %XX is decoded
  std::string query;                                         // behind the ?, as it stands
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case

  // Of the first header of this name; empty: there is none.
  std::string header(std::string_view name) const;
  // The value of a field of the query (a=1&b=2), decoded; empty: there is none.
  std::string field(std::string_view name) const;
  // The same of a cookie, as it stands.
  std::string cookie(std::string_view name) const;
};

enum class HttpParse { incomplete, complete, bad };

// `bytes`: all that has come until now. `request` is filled when complete.
HttpParse parse_http_request(std::string_view bytes, HttpRequest& request);

}  // namespace maskwatch::apps
