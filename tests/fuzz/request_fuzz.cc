// HTTP requests, as --serve gets them from whoever reaches it.
#include <cstdlib>

#include "apps/alerts/http_request.h"
#include "tests/fuzz/fuzz.h"

namespace maskwatch::fuzz {
namespace {

std::vector<std::string> seeds() {
  return {"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n",
          "GET /stream.mjpg?token=a%2Db&x=1 HTTP/1.1\r\nHost: [::1]:80\r\nCookie: a=1; "
          "maskwatch_token=t; b=\r\nAuthorization: Bearer x\r\n\r\n",
          "HEAD /%7e HTTP/1.0\r\nAccept:\t*/* \r\n\r\nand more"};
}

// What is taken holds nothing that could end a line of an answer or a log.
void require_plain(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t') std::abort();
}

bool run(std::string_view bytes) {
  apps::HttpRequest request;
  if (apps::parse_http_request(bytes, request) != apps::HttpParse::complete) return false;
  require_plain(request.method);
  require_plain(request.path);
  require_plain(request.query);
  for (const auto& [name, value] : request.headers) {
    require_plain(name);
    require_plain(value);
  }
  for (const char* name : {"token", "x", "host", "cookie", "maskwatch_token"}) {
    request.field(name);
    request.header(name);
    request.cookie(name);
  }
  return true;
}

}  // namespace

const Target request{"request", seeds, run, nullptr, true};

}  // namespace maskwatch::fuzz
