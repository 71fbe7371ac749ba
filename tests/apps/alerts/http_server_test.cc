// Addresses to listen at. What the server does is tested as a browser sees it (serve_test.py).
#include "apps/alerts/http_server.h"

#include <doctest/doctest.h>

#include <string>

#include "apps/common/program.h"

using namespace maskwatch;
using apps::parse_listen_address;

TEST_CASE("an address to listen at names a host and a port") {
  CHECK(parse_listen_address("8080").host == "127.0.0.1");
  CHECK(parse_listen_address("8080").port == 8080);
  CHECK(parse_listen_address("0.0.0.0:80").host == "0.0.0.0");
  CHECK(parse_listen_address("[::1]:0").host == "::1");
  for (const char* wrong : {"", "x", ":80", "h:", "h:65536", "h:-1", "h:8o", "::1:80", "[]:80"}) {
    CAPTURE(std::string(wrong));
    CHECK_THROWS_AS(parse_listen_address(wrong), apps::UsageError);
  }
}
