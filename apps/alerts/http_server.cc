#include "apps/alerts/http_server.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "apps/common/program.h"
#include "base/unavailable.h"
#include "vision/image/codec.h"

namespace maskwatch::apps {
namespace {

constexpr std::size_t kMostConnections = 64;
constexpr int kMostViewers = 16;
constexpr double kPictureTime = 5;   // seconds to wait for one picture
constexpr double kAcceptPause = .5;  // seconds when the system has no more descriptors
constexpr double kFarewell = 1;      // seconds for the reader to close its side
constexpr int kLook = 500;           // ms between looks at connections that do nothing
constexpr int kJpegQuality = 80;
constexpr int kSendBuffer = 1 << 18;  // bytes, so that what a slow reader gets is not old

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 303:
      return "See Other";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

std::string text_of(const ListenAddress& address) {
  const bool numbers = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", numbers ? "[" : "", address.host, numbers ? "]" : "",
                     address.port);
}

constexpr const char* kJpegType = "image/jpeg";
constexpr const char* kBoundary = "maskwatch-picture";

}  // namespace

ListenAddress parse_listen_address(const std::string& text) {
  const auto fault = [&](const std::string& what) {
    return UsageError("--serve " + text + ": " + what, "such as 127.0.0.1:8080");
  };
  ListenAddress out;
  const std::size_t colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? text : text.substr(colon + 1);
  out.host = colon == std::string::npos ? "127.0.0.1" : text.substr(0, colon);
  if (out.host.size() >= 2 && out.host.front() == '[' && out.host.back() == ']')
    out.host = out.host.substr(1, out.host.size() - 2);
  else if (out.host.find(':') != std::string::npos)
    throw fault("an address of IPv6 stands in [ ]");
  if (out.host.empty())
    throw fault(
        "says no address (0.0.0.0 stands for all of this machine, 127.0.0.1 for itself alone)");
  const char* end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data(), end, out.port);
  if (error != std::errc() || stop != end || out.port < 0 || out.port > 65535)
    throw fault("the port is not a number from 0 to 65535");
  return out;
}

struct HttpServer::Connection {
  explicit Connection(int descriptor) : descriptor(descriptor) {}
  ~Connection() { close(descriptor); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  using Pictures = HttpResponse::Pictures;
  const int descriptor;
  std::string in, out;    // received; still to be sent
  std::size_t sent = 0;   // of `out`
  bool answered = false;  // the request has come
  bool closing = false;   // everything is sent
  bool broken = false;
  Pictures pictures = Pictures::none;
  std::vector<std::pair<std::string, std::string>> headers;  // of one picture
  Clock::time_point begun = Clock::now();                    // accepted, or asked
  Clock::time_point active = begun;                          // when bytes were sent last
  short events = 0;                                          // that poll saw

  bool has_output() const { return sent < out.size(); }
  bool wants_picture() const { return pictures != Pictures::none && !has_output(); }
};

HttpServer::HttpServer(const ListenAddress& address, Handler handle, const HttpPatience& patience)
    : handle_(std::move(handle)), patience_(patience) {
  listen_at(address);
  thread_ = std::thread([this] { work(); });
}

HttpServer::~HttpServer() {
  stop();
  close(listener_);
}

void HttpServer::listen_at(const ListenAddress& address) {
  const std::string name = "--serve " + text_of(address) + ": ";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int code =
          getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found))
    throw UsageError(name + gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  listener_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  if (listener_ >= 0) setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (listener_ < 0 || bind(listener_, found->ai_addr, found->ai_addrlen) != 0 ||
      listen(listener_, 16) != 0) {
    const int error = errno;
    if (listener_ >= 0) close(listener_);
    if (error == EACCES) throw UsageError(name + std::strerror(error));
    throw Unavailable(name + std::strerror(error));
  }
  loopback_ = is_loopback(found->ai_addr);
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  // The port lies at the same place in both families.
  const int port = ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
  url_ = "http://" + text_of({address.host, port}) + "/";
}

void HttpServer::show(std::shared_ptr<const vision::Image> picture) {
  {
    const std::lock_guard lock(mutex_);
    picture_ = std::move(picture);
  }
  wake_.wake();
}

void HttpServer::stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  show(nullptr);
  thread_.join();
}

void HttpServer::work() {
  while (!stop_) {
    wait();
    for (Connection& connection : connections_) {
      if ((connection.events & (POLLERR | POLLNVAL)) != 0) connection.broken = true;
      if (!connection.broken && (connection.events & (POLLIN | POLLHUP)) != 0) receive(connection);
      if (!connection.broken && connection.has_output()) send(connection);
    }
    send_picture();
    for (Connection& connection : connections_) end(connection);
    connections_.remove_if([this](const Connection& connection) { return is_over(connection); });
    count();
  }
  connections_.clear();
}

void HttpServer::wait() {
  std::vector<pollfd> files{{wake_.descriptor(), POLLIN, 0}};
  const bool accepts = connections_.size() < kMostConnections && Clock::now() >= accept_after_;
  files.push_back({accepts ? listener_ : -1, POLLIN, 0});
  for (const Connection& connection : connections_)
    files.push_back({connection.descriptor,
                     static_cast<short>(POLLIN | (connection.has_output() ? POLLOUT : 0)), 0});
  poll(files.data(), files.size(), kLook);
  wake_.clear();
  std::size_t i = 2;
  for (Connection& connection : connections_) connection.events = files[i++].revents;
  if (files[1].revents != 0) accept_one();
}

void HttpServer::accept_one() {
  const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
      accept_after_ =
          Clock::now() + std::chrono::milliseconds(static_cast<int>(1e3 * kAcceptPause));
    return;
  }
  setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
  connections_.emplace_back(descriptor);
}

void HttpServer::receive(Connection& connection) {
  std::array<char, 4096> bytes;
  const ssize_t size = recv(connection.descriptor, bytes.data(), bytes.size(), 0);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) connection.broken = true;
  // What comes behind the request does not matter.
  if (size <= 0 || connection.answered) return;
  connection.in.append(bytes.data(), static_cast<std::size_t>(size));
  HttpRequest request;
  switch (parse_http_request(connection.in, request)) {
    case HttpParse::incomplete:
      return;
    case HttpParse::bad:
      answer(connection, {400, "text/plain; charset=utf-8", "This is not a request.\n", {}}, true);
      return;
    default:
      break;
  }
  if (request.method != "GET" && request.method != "HEAD") {
    answer(connection,
           {405, "text/plain; charset=utf-8", "GET and HEAD only.\n", {{"Allow", "GET, HEAD"}}},
           true);
    return;
  }
  HttpResponse response = handle_(request);
  if (response.pictures == HttpResponse::Pictures::stream && viewers_ >= kMostViewers)
    response = {503, "text/plain; charset=utf-8", "Too many viewers.\n", {{"Retry-After", "10"}}};
  answer(connection, std::move(response), request.method == "GET");
}

void HttpServer::answer(Connection& connection, HttpResponse response, bool body) {
  using Pictures = HttpResponse::Pictures;
  connection.answered = true;
  connection.begun = connection.active = Clock::now();
  connection.in.clear();
  if (response.pictures == Pictures::one && body) {
    connection.pictures = Pictures::one;
    return;
  }
  std::string& out = connection.out;
  out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_of(response.status));
  const bool stream = response.pictures == Pictures::stream;
  if (stream) response.type = fmt::format("multipart/x-mixed-replace; boundary={}", kBoundary);
  if (response.pictures == Pictures::one) response.type = kJpegType;
  out += fmt::format("Content-Type: {}\r\n", response.type);
  if (response.pictures == Pictures::none)
    out += fmt::format("Content-Length: {}\r\n", response.body.size());
  for (const auto& [name, value] : response.headers) out += name + ": " + value + "\r\n";
  out +=
      "Connection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      "Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\r\n";
  if (!body) return;
  if (stream) {
    connection.pictures = Pictures::stream;
    viewers_ = viewers_ + 1;  // count() sees it too late for others of this round
  } else {
    out += response.body;
  }
}

void HttpServer::send(Connection& connection) {
  const ssize_t size = ::send(connection.descriptor, connection.out.data() + connection.sent,
                              connection.out.size() - connection.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (size < 0) {
    connection.broken = errno != EAGAIN && errno != EINTR;
    return;
  }
  connection.active = Clock::now();
  connection.sent += static_cast<std::size_t>(size);
}

// To all who have taken the one before.
void HttpServer::send_picture() {
  std::shared_ptr<const vision::Image> picture;
  {
    const std::lock_guard lock(mutex_);
    picture = std::exchange(picture_, nullptr);
  }
  const auto wants = [](const Connection& connection) {
    return !connection.broken && connection.wants_picture();
  };
  if (!picture || std::none_of(connections_.begin(), connections_.end(), wants)) return;
  std::string jpeg;
  try {
    jpeg = vision::codec::encode_jpeg(*picture, kJpegQuality);
  } catch (const std::exception&) {  // too large for a JPEG, or no memory: there is no picture
    return;
  }
  for (Connection& connection : connections_)
    if (wants(connection)) {
      give_picture(connection, jpeg);
      send(connection);
    }
}

void HttpServer::give_picture(Connection& connection, const std::string& jpeg) {
  connection.sent = 0;
  connection.out.clear();
  if (connection.pictures == HttpResponse::Pictures::one) {
    connection.pictures = HttpResponse::Pictures::none;
    answer(connection, {200, kJpegType, jpeg, {}}, true);
    return;
  }
  connection.out = fmt::format("--{}\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
                               kBoundary, jpeg.size());
  connection.out += jpeg;
  connection.out += "\r\n";
}

// What has all that it asked for, or will not get it.
void HttpServer::end(Connection& connection) {
  using Pictures = HttpResponse::Pictures;
  if (!connection.answered || connection.has_output() || connection.closing) return;
  if (connection.pictures == Pictures::one && seconds_since(connection.active) > kPictureTime) {
    connection.pictures = Pictures::none;
    answer(connection, {503, "text/plain; charset=utf-8", "There is no picture now.\n", {}}, true);
    send(connection);
  }
  if (connection.pictures != Pictures::none || connection.has_output()) return;
  // To close at once would cut the answer off where something of the request is still unread.
  connection.closing = true;
  connection.active = Clock::now();
  shutdown(connection.descriptor, SHUT_WR);
}

bool HttpServer::is_over(const Connection& connection) const {
  if (connection.broken) return true;
  const double idle = seconds_since(connection.active);
  if (connection.closing) return idle > kFarewell;
  const double whole = seconds_since(connection.begun);
  if (!connection.answered) return whole > patience_.request;
  if (!connection.has_output()) return false;  // it waits for us
  const bool stream = connection.pictures == HttpResponse::Pictures::stream;
  return idle > patience_.part || (!stream && whole > patience_.answer);
}

void HttpServer::count() {
  int waiting = 0, viewers = 0;
  for (const Connection& connection : connections_) {
    waiting += connection.wants_picture();
    viewers += connection.pictures == HttpResponse::Pictures::stream;
  }
  waiting_ = waiting;
  viewers_ = viewers;
}

}  // namespace maskwatch::apps
