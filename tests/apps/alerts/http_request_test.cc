// Heads of requests, whole, in part and wrong.
#include "apps/alerts/http_request.h"

#include <doctest/doctest.h>

#include <string>

using namespace maskwatch;
using apps::HttpParse;
using apps::HttpRequest;
using apps::parse_http_request;

TEST_CASE("a request is read once it is whole") {
  const std::string bytes =
      "GET /a%20b?token=x%2Fy&n=1 HTTP/1.1\r\nHost: box:8080\r\nACCEPT:\t*/* \r\n"
      "Cookie: a=1; maskwatch_token=t0; b\r\n\r\nbehind it";
  HttpRequest request;
  for (std::size_t size = 0; size < bytes.find("\r\n\r\n") + 4; ++size)
    REQUIRE(parse_http_request(bytes.substr(0, size), request) == HttpParse::incomplete);
  REQUIRE(parse_http_request(bytes, request) == HttpParse::complete);
  CHECK(request.method == "GET");
  CHECK(request.path == "/a b");
  CHECK(request.field("token") == "x/y");
  CHECK(request.field("n") == "1");
  CHECK(request.field("m").empty());
  CHECK(request.header("host") == "box:8080");
  CHECK(request.header("accept") == "*/*");
  CHECK(request.header("none").empty());
  CHECK(request.cookie("maskwatch_token") == "t0");
  CHECK(request.cookie("token").empty());
}

TEST_CASE("what is not a request is refused") {
  for (const char* wrong :
       {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / \r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "G@T / HTTP/1.1\r\n\r\n",
        "GET /%zz HTTP/1.1\r\n\r\n", "GET /%0a HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\na b: x\r\n\r\n", "GET / HTTP/1.1\r\na: x\ny\r\n\r\n",
        "GET / HTTP/1.1\r\n folded: x\r\n\r\n"}) {
    CAPTURE(std::string(wrong));
    HttpRequest request;
    CHECK(parse_http_request(wrong, request) == HttpParse::bad);
  }
  HttpRequest request;
  CHECK(parse_http_request(std::string(apps::kLongestHead + 1, 'a'), request) == HttpParse::bad);
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 101; ++i) many += "a: b\r\n";
  CHECK(parse_http_request(many + "\r\n", request) == HttpParse::bad);
}
