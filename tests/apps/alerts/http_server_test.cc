// Addresses to listen at. What the server does is tested as a browser sees it (serve_test.py).
#include "apps/alerts/http_server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "apps/common/program.h"

using namespace maskwatch;
using apps::parse_listen_address;

namespace {

// The port of "http://127.0.0.1:8080/".
int port_of(const std::string& url) { return std::stoi(url.substr(url.rfind(':') + 1)); }

class Client {
 public:
  explicit Client(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int little = 4096;
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    REQUIRE(connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Client() { close(descriptor_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(const std::string& bytes) {
    return ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0;
  }
  // How many bytes came; 0: the other side is gone.
  std::size_t receive(std::size_t most) {
    std::string bytes(most, '\0');
    const ssize_t size = recv(descriptor_, bytes.data(), most, 0);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }

 private:
  const int descriptor_ = socket(AF_INET, SOCK_STREAM, 0);
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void breathe() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace

TEST_CASE("who sends or reads a little now and then is cut off all the same") {
  const std::string page(1 << 24, 'x');
  apps::HttpServer server(parse_listen_address("0"),
                          [&](const apps::HttpRequest&) {
                            return apps::HttpResponse{200, "text/plain", page, {}};
                          },
                          {.request = .3, .part = 30, .answer = .3});
  auto start = std::chrono::steady_clock::now();
  Client sender(port_of(server.url()));
  while (seconds_since(start) < 5 && sender.send("G")) breathe();
  CHECK(seconds_since(start) < 5);

  start = std::chrono::steady_clock::now();
  Client reader(port_of(server.url()));
  REQUIRE(reader.send("GET / HTTP/1.1\r\n\r\n"));
  std::size_t size = 0;
  for (; seconds_since(start) < 2; breathe()) size += reader.receive(1000);
  while (const std::size_t more = reader.receive(1 << 16)) size += more;
  CHECK(size > 1000);
  CHECK(size < page.size());
}

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
