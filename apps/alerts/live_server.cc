#include "apps/alerts/live_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apps/alerts/live_page.h"
#include "apps/alerts/metrics.h"
#include "apps/alerts/secret.h"

namespace maskwatch::apps {
namespace {

constexpr double kBetweenPictures = .1;  // seconds
constexpr std::size_t kLatestEvents = 20;
constexpr double kNoFrames = 10;  // seconds without a frame that are not healthy
constexpr const char* kCookie = "maskwatch_token";
constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kText = "text/plain; charset=utf-8";

// Nothing from elsewhere, and in nobody's frame.
HttpResponse html(int status, const std::string& text) {
  return {status,
          kHtml,
          text,
          {{"Content-Security-Policy",
            "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src "
            "'unsafe-inline'; script-src 'unsafe-inline'; form-action 'self'; frame-ancestors "
            "'self'"}}};
}

HttpResponse pictures(HttpResponse::Pictures kind) {
  HttpResponse out;
  out.pictures = kind;
  return out;
}

// The host of a header "Host: name:port".
std::string without_port(const std::string& host) {
  if (!host.empty() && host[0] == '[') return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

// "door: lost" where there are several.
std::string of_source(const std::string& name, const std::string& text) {
  return name.empty() ? text : name + ": " + text;
}

// All together; each trouble with the name of its source.
WatchState sum_of(const std::vector<SourceFigures>& sources) {
  WatchState sum;
  for (const auto& [name, state, video] : sources) {
    sum.people += state.people;
    sum.mask += state.mask;
    sum.no_mask += state.no_mask;
    sum.worn_wrongly += state.worn_wrongly;
    sum.people_seen += state.people_seen;
    if (state.trouble.empty()) continue;
    sum.trouble += (sum.trouble.empty() ? "" : "; ") + of_source(name, state.trouble);
  }
  return sum;
}

}  // namespace

LiveServer::LiveServer(const ServeOptions& options)
    : options_(options),
      last_frames_(options.sources.size(), Clock::now()),
      server_(options.address, [this](const HttpRequest& request) { return answer(request); }) {
  const std::lock_guard lock(mutex_);
  for (const WatchedName& source : options.sources) sources_.push_back({source.name, {}, {}});
}

void LiveServer::write(int, const std::string& line) {
  const std::lock_guard lock(mutex_);
  events_.push_front(line);
  if (events_.size() > kLatestEvents) events_.pop_back();
}

void LiveServer::update(int source, const WatchState& state) {
  const std::lock_guard lock(mutex_);
  sources_[static_cast<std::size_t>(source)].state = state;
}

void LiveServer::measure(int source, const VideoFigures& video) {
  const auto i = static_cast<std::size_t>(source);
  const std::lock_guard lock(mutex_);
  if (video.shown != sources_[i].video.shown) last_frames_[i] = Clock::now();
  sources_[i].video = video;
}

void LiveServer::measure_sinks(const SinkFigures& sinks) {
  const std::lock_guard lock(mutex_);
  sinks_ = sinks;
}

bool LiveServer::wants_overview() {
  return server_.wants_picture() && seconds_since(shown_) >= kBetweenPictures;
}

void LiveServer::show_overview(std::shared_ptr<const vision::Image> picture) {
  if (!wants_overview()) return;
  shown_ = Clock::now();
  server_.show(std::move(picture));
}

std::vector<std::string> LiveServer::take_notes() {
  if (std::exchange(announced_, true)) return {};
  std::vector<std::string> out{"--serve: " + server_.url()};
  if (!server_.loopback() && options_.token.empty())
    out[0] += " shows the video to everybody who reaches it (--serve-token-file asks for a token)";
  return out;
}

HttpResponse LiveServer::answer(const HttpRequest& request) {
  if (is_rebound(request))
    return {
        403, kText, "Ask for 127.0.0.1 or localhost; other names need --serve-token-file.\n", {}};
  if (!is_allowed(request)) {
    HttpResponse out = html(401, kTokenPage);
    out.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"Maskwatch\"");
    return out;
  }
  // The token moves from the address, which people copy, into a cookie.
  if (request.path == "/" && !options_.token.empty() && !request.field("token").empty())
    return {303,
            kText,
            "",
            {{"Location", "/"},
             {"Set-Cookie",
              fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict", kCookie, options_.token)}}};
  return page_of(request.path);
}

HttpResponse LiveServer::page_of(const std::string& path) {
  using Pictures = HttpResponse::Pictures;
  if (path == "/") return html(200, kLivePage);
  if (path == "/stream.mjpg") return pictures(Pictures::stream);
  if (path == "/snapshot.jpg") return pictures(Pictures::one);
  if (path == "/state") return state();
  if (path == "/healthz") return health();
  if (path == "/metrics") {
    const std::lock_guard lock(mutex_);
    return {200, kMetricsType, metrics_text(sources_, sinks_, server_.viewers()), {}};
  }
  return {404, kText, "There is no such page.\n", {}};
}

HttpResponse LiveServer::state() {
  const std::lock_guard lock(mutex_);
  Json out = state_json(sum_of(sources_));
  std::string description;
  double rate = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const WatchedName& names = options_.sources[i];
    description += (i > 0 ? ", " : "") + (names.name.empty() ? names.description : names.name);
    rate += sources_[i].video.frames_a_second;
    if (names.name.empty()) continue;
    Json one = state_json(sources_[i].state);
    one.update(Json::object(
        {{"description", names.description}, {"fps", sources_[i].video.frames_a_second}}));
    out["sources"][names.name] = std::move(one);
  }
  out["description"] = description;
  out["fps"] = rate;
  // The events are JSON already.
  std::string text = out.dump(), events;
  for (const std::string& event : events_) events += (events.empty() ? "" : ",") + event;
  text.insert(text.size() - 1, ",\"events\":[" + events + "]");
  return {200, "application/json", text + "\n", {}};
}

HttpResponse LiveServer::health() {
  const std::lock_guard lock(mutex_);
  std::string ill = sum_of(sources_).trouble;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (const double quiet = seconds_since(last_frames_[i]);
        quiet > kNoFrames && sources_[i].state.trouble.empty())
      ill += (ill.empty() ? "" : "; ") +
             of_source(sources_[i].name, fmt::format("no frame for {:.0f} s", quiet));
  if (!ill.empty()) return {503, kText, ill + "\n", {}};
  return {200, kText, "ok\n", {}};
}

bool LiveServer::is_allowed(const HttpRequest& request) const {
  if (options_.token.empty()) return true;
  const std::string bearer = "Bearer ", header = request.header("authorization");
  if (header.starts_with(bearer) && same_secret(header.substr(bearer.size()), options_.token))
    return true;
  return same_secret(request.field("token"), options_.token) ||
         same_secret(request.cookie(kCookie), options_.token);
}

// A page from elsewhere may let its own name point to this machine and so get at what only this
// machine may see; but then the browser asks for that name.
bool LiveServer::is_rebound(const HttpRequest& request) const {
  if (!options_.token.empty() || !server_.loopback()) return false;
  const std::string host = without_port(request.header("host"));
  in6_addr numbers;
  return !host.empty() && host != "localhost" && inet_pton(AF_INET, host.c_str(), &numbers) != 1 &&
         inet_pton(AF_INET6, host.c_str(), &numbers) != 1;
}

}  // namespace maskwatch::apps
