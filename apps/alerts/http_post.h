// POST requests, one after the other, through libcurl. One thread uses a poster.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "apps/alerts/webhook_options.h"

namespace maskwatch::apps {

// Whether the build has libcurl and libcrypto.
bool has_webhook();

// "https://host:8443" of an address: what messages may show, for the rest often holds a secret.
// UsageError unless it is http:// or https:// with a host, without user and password.
std::string webhook_origin(const std::string& url);

// HMAC-SHA256 (RFC 2104) in 64 lower-case hexadecimal digits.
std::string hmac_sha256(const std::string& key, const std::string& message);

// The receiver cannot be reached, or its certificate is not trusted.
struct PostFailure : std::runtime_error {
  PostFailure(const std::string& reason, bool refused)
      : std::runtime_error(reason), refused(refused) {}
  bool refused;  // the user has to mend it
};

struct PostAnswer {
  int status = 0;          // 200, ...
  double retry_after = 0;  // seconds that the receiver asks for; 0: it does not
};

class HttpPoster {
 public:
  // A request ends when `give_up` says so; it is asked about once a second, or oftener.
  HttpPoster(const WebhookOptions& options, std::function<bool()> give_up);
  ~HttpPoster();
  HttpPoster(const HttpPoster&) = delete;
  HttpPoster& operator=(const HttpPoster&) = delete;

  // `id` is the same each time that the same JSON is sent. Redirections are not followed. Takes 10
  // s at most. PostFailure.
  PostAnswer post(const std::string& json, const std::string& id);

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace maskwatch::apps
