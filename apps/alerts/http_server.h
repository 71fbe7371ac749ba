// A small HTTP server for a few browsers and scrapers: one thread, which waits for no single
// reader. Who reads a stream of pictures slowly gets fewer of them, who does not read at all is cut
// off. Every connection carries one request.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/alerts/event_sink.h"
#include "apps/alerts/http_request.h"
#include "apps/alerts/wake_up.h"

namespace maskwatch::apps {

// Where to listen. UsageError that begins with "--serve" unless `text` is port, host:port or
// [host]:port; a port alone is that of the loopback address.
struct ListenAddress {
  std::string host;
  int port = 0;  // 0: any that is free
};
ListenAddress parse_listen_address(const std::string& text);

struct HttpResponse {
  enum class Pictures { none, one, stream };
  int status = 200;
  std::string type = "text/plain; charset=utf-8", body;
  std::vector<std::pair<std::string, std::string>> headers;
  Pictures pictures = Pictures::none;  // in place of the body: the next picture, or all that come
};

// Seconds until a connection is cut off.
struct HttpPatience {
  double request = 10;  // for all of it to come
  double part = 10;     // of an answer, for any of it to leave
  double answer = 60;   // for all of it to leave, but of a stream
};

class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  // Begins to listen. `handle` runs in the server's thread, for GET and HEAD alone. UsageError that
  // names the address if that is wrong, Unavailable if it is not to be had now.
  HttpServer(const ListenAddress& address, Handler handle, const HttpPatience& patience = {});
  ~HttpServer();  // as stop()
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "http://127.0.0.1:8080/"
  std::string url() const { return url_; }
  // Whether only this machine can reach it.
  bool loopback() const { return loopback_; }

  // Whether somebody waits for a picture.
  bool wants_picture() const { return waiting_ > 0; }
  int viewers() const { return viewers_; }
  // The newest picture; it is encoded in the server's thread, and only if somebody waits for it.
  void show(std::shared_ptr<const vision::Image> picture);

  // Cuts all connections off.
  void stop();

 private:
  struct Connection;

  void listen_at(const ListenAddress& address);
  void work();
  void wait();
  void accept_one();
  void receive(Connection& connection);
  void answer(Connection& connection, HttpResponse response, bool body);
  void send(Connection& connection);
  void send_picture();
  void give_picture(Connection& connection, const std::string& jpeg);
  void end(Connection& connection);
  bool is_over(const Connection& connection) const;
  void count();

  const Handler handle_;
  const HttpPatience patience_;
  int listener_ = -1;
  WakeUp wake_;
  std::string url_;
  bool loopback_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<int> waiting_{0}, viewers_{0};
  std::mutex mutex_;
  std::shared_ptr<const vision::Image> picture_;  // the newest, not yet encoded
  std::list<Connection> connections_;             // of the thread
  Clock::time_point accept_after_;
  std::thread thread_;
};

}  // namespace maskwatch::apps
