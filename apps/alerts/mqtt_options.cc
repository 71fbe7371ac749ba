#include "apps/alerts/mqtt_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "apps/common/program.h"
#include "base/percent.h"
#include "base/printable.h"
#include "vision/video/stream_address.h"

namespace maskwatch::apps {
namespace {

// MQTT allows 65,535 bytes, of which the longest topic below ours needs some.
constexpr std::size_t kLongestTopic = 1000, kLongestHost = 253;

// As libmosquitto wants it: UTF-8 without control characters and noncharacters.
bool is_plain_text(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    const bool noncharacter = (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe;
    if (c == kNotUtf8 || control || noncharacter) return false;
  }
  return true;
}

class AddressParser {
 public:
  explicit AddressParser(const std::string& text) : text_(text) {}

  MqttAddress parse() {
    MqttAddress out;
    std::string_view rest = text_;
    if (rest.starts_with("mqtts://")) {
      out.tls = true;
      out.port = 8883;
    } else if (!rest.starts_with("mqtt://")) {
      fail("does not begin with mqtt:// or mqtts://");
    }
    rest.remove_prefix(rest.find("//") + 2);
    // A password may hold any character: what ends at the last @ before white space is hidden in
    // messages, but only an address without one is taken.
    if (vision::hide_passwords(text_) != text_)
      throw UsageError(
          "--mqtt: the address holds a password, which everybody on this machine could read",
          "put it into MASKWATCH_MQTT_PASSWORD or the file of --mqtt-password-file");
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view place = rest.substr(0, slash);
    if (const std::size_t at = place.find('@'); at != std::string_view::npos) {
      out.user = decoded(place.substr(0, at));
      if (!is_plain_text(out.user))
        fail("the user holds control characters, or bytes that are not UTF-8");
      place.remove_prefix(at + 1);
    }
    take_host(place, out);
    out.topic = slash < rest.size() ? decoded(rest.substr(slash + 1)) : "";
    check_topic(out.topic);
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError("--mqtt " + vision::hide_passwords(text_) + ": " + what,
                     "mqtt[s]://[user@]host[:port]/topic");
  }

  std::string decoded(std::string_view part) const {
    const auto out = percent_decoded(part);
    if (!out) fail("% is not followed by two hexadecimal digits");
    return *out;
  }

  void take_host(std::string_view place, MqttAddress& out) const {
    std::string_view port;
    if (place.starts_with('[')) {  // an IPv6 address
      const std::size_t end = place.find(']');
      if (end == std::string_view::npos) fail("] is missing behind the host");
      out.host = place.substr(1, end - 1);
      port = place.substr(end + 1);
      if (!port.empty() && port[0] != ':') fail("something else than a port follows the host");
    } else {
      const std::size_t colon = std::min(place.find(':'), place.size());
      out.host = place.substr(0, colon);
      port = place.substr(colon);
    }
    const auto allowed = [](unsigned char c) { return c > ' ' && c != 0x7f && c != '%'; };
    if (out.host.empty() || out.host.size() > kLongestHost ||
        !std::all_of(out.host.begin(), out.host.end(), allowed))
      fail("has no host");
    if (port.empty()) return;
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc() || end != port.data() + port.size() || out.port < 1 ||
        out.port > 65535)
      fail("the port is not a number from 1 to 65535");
  }

  void check_topic(std::string& topic) const {
    while (!topic.empty() && topic.back() == '/') topic.pop_back();
    if (topic.empty()) fail("has no topic");
    if (const std::string fault = fault_of_topic(topic); !fault.empty()) fail(fault);
  }

  const std::string& text_;
};

}  // namespace

std::string MqttAddress::text() const {
  const bool numbers = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}/{}", tls ? "mqtts" : "mqtt", numbers ? "[" : "", host,
                     numbers ? "]" : "", port, topic);
}

std::string fault_of_topic(const std::string& topic) {
  if (topic.size() > kLongestTopic)
    return fmt::format("the topic has more than {} bytes", kLongestTopic);
  if (topic.find_first_of("+#") != std::string::npos)
    return "+ and # may not stand in a topic that is written to";
  if (topic.starts_with('$')) return "topics that begin with $ belong to the broker";
  if (!is_plain_text(topic))
    return "the topic holds control characters, or bytes that are not UTF-8";
  return "";
}

MqttAddress parse_mqtt_address(const std::string& text) { return AddressParser(text).parse(); }

}  // namespace maskwatch::apps
