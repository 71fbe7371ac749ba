#include "apps/alerts/http_post.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <new>
#include <utility>

#include "apps/common/program.h"
#include "base/version.h"  // made by meson

namespace maskwatch::apps {
namespace {

constexpr long kConnectTime = 5, kWholeTime = 10;  // seconds

void start_library() {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (once != CURLE_OK) throw std::runtime_error("--webhook: libcurl cannot be used");
}

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part_of(const Url& url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) !=
      CURLUE_OK)
    return "";
  std::string out = text;
  curl_free(text);
  return out;
}

// What is wrong is not the receiver's momentary state, but how it or we are set up.
bool is_refusal(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool has_webhook() { return true; }

std::string webhook_origin(const std::string& text) {
  const std::string hint = "http[s]://host[:port]/path";
  const Url url(curl_url(), curl_url_cleanup);
  if (!url) throw std::bad_alloc();
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
    throw UsageError("--webhook: the address cannot be understood", hint);
  const std::string scheme = part_of(url, CURLUPART_SCHEME), host = part_of(url, CURLUPART_HOST);
  if (scheme != "http" && scheme != "https")
    throw UsageError("--webhook: the address does not begin with http:// or https://", hint);
  if (host.empty()) throw UsageError("--webhook: the address has no host", hint);
  if (!part_of(url, CURLUPART_USER).empty() || !part_of(url, CURLUPART_PASSWORD).empty())
    throw UsageError("--webhook: the address holds a user or a password",
                     "--webhook-token-file and --webhook-secret-file prove who we are");
  return fmt::format("{}://{}:{}", scheme, host, part_of(url, CURLUPART_PORT));
}

std::string hmac_sha256(const std::string& key, const std::string& message) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(), bytes.data(),
           &size) == nullptr)
    throw std::runtime_error("--webhook: SHA-256 cannot be used");
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

struct HttpPoster::Session {
  WebhookOptions options;
  std::function<bool()> give_up;
  CURL* handle = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};

  ~Session() { curl_easy_cleanup(handle); }
  template <typename Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode code = curl_easy_setopt(handle, option, value); code != CURLE_OK)
      throw std::runtime_error(std::string("--webhook: ") + curl_easy_strerror(code));
  }
};

HttpPoster::HttpPoster(const WebhookOptions& options, std::function<bool()> give_up)
    : session_(std::make_unique<Session>()) {
  start_library();
  Session& s = *session_;
  s.options = options;
  s.give_up = std::move(give_up);
  s.handle = curl_easy_init();
  if (s.handle == nullptr) throw std::bad_alloc();
  s.set(CURLOPT_URL, options.url.c_str());
  s.set(CURLOPT_PROTOCOLS_STR, "http,https");
  s.set(CURLOPT_POST, 1L);
  s.set(CURLOPT_NOSIGNAL, 1L);
  s.set(CURLOPT_CONNECTTIMEOUT, kConnectTime);
  s.set(CURLOPT_TIMEOUT, kWholeTime);
  s.set(CURLOPT_ERRORBUFFER, s.error.data());
  s.set(CURLOPT_USERAGENT, (std::string("maskwatch/") + kVersion).c_str());
  if (!options.ca_file.empty()) s.set(CURLOPT_CAINFO, options.ca_file.c_str());
  // What the receiver says besides its status is of no interest, however long.
  s.set(CURLOPT_WRITEFUNCTION,
        static_cast<curl_write_callback>(
            [](char*, std::size_t size, std::size_t count, void*) { return size * count; }));
  s.set(CURLOPT_NOPROGRESS, 0L);
  s.set(CURLOPT_XFERINFODATA, static_cast<void*>(&s));
  s.set(CURLOPT_XFERINFOFUNCTION,
        static_cast<curl_xferinfo_callback>(
            [](void* session, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
              return static_cast<Session*>(session)->give_up() ? 1 : 0;
            }));
}

HttpPoster::~HttpPoster() = default;

PostAnswer HttpPoster::post(const std::string& json, const std::string& id) {
  Session& s = *session_;
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr, curl_slist_free_all);
  const auto add = [&](const std::string& header) {
    curl_slist* longer = curl_slist_append(headers.get(), header.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    [[maybe_unused]] curl_slist* same = headers.release();
    headers.reset(longer);
  };
  add("Content-Type: application/json");
  add("Idempotency-Key: " + id);
  if (!s.options.token.empty()) add("Authorization: Bearer " + s.options.token);
  if (!s.options.secret.empty())
    add("X-Maskwatch-Signature-256: sha256=" + hmac_sha256(s.options.secret, json));
  s.set(CURLOPT_HTTPHEADER, headers.get());
  s.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
  s.set(CURLOPT_POSTFIELDS, json.data());
  s.error[0] = '\0';
  const CURLcode code = curl_easy_perform(s.handle);
  if (code == CURLE_ABORTED_BY_CALLBACK || code == CURLE_OPERATION_TIMEDOUT)
    throw PostFailure("the receiver does not answer", false);
  if (code != CURLE_OK)
    throw PostFailure(
        is_refusal(code) && s.error[0] != '\0' ? s.error.data() : curl_easy_strerror(code),
        is_refusal(code));
  long status = 0;
  curl_off_t after = 0;
  curl_easy_getinfo(s.handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(s.handle, CURLINFO_RETRY_AFTER, &after);
  return {static_cast<int>(status), static_cast<double>(after)};
}

}  // namespace maskwatch::apps
