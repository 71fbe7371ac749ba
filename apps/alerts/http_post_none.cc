// Where the build has no libcurl.
#include "apps/alerts/http_post.h"
#include "apps/common/program.h"

namespace maskwatch::apps {
namespace {

[[noreturn]] void refuse() {
  throw UsageError("--webhook: this build has no libcurl", "meson setup -Dwebhook=enabled");
}

}  // namespace

struct HttpPoster::Session {};

bool has_webhook() { return false; }
std::string webhook_origin(const std::string&) { refuse(); }
std::string hmac_sha256(const std::string&, const std::string&) { refuse(); }
HttpPoster::HttpPoster(const WebhookOptions&, std::function<bool()>) { refuse(); }
HttpPoster::~HttpPoster() = default;
PostAnswer HttpPoster::post(const std::string&, const std::string&) { return {}; }

}  // namespace maskwatch::apps
