#include "apps/alerts/sink_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <initializer_list>

#include "apps/alerts/http_post.h"
#include "apps/alerts/mqtt_client.h"
#include "apps/alerts/secret.h"
#include "apps/common/program.h"
#include "base/file.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kPasswordVariable = "MASKWATCH_MQTT_PASSWORD";
constexpr const char* kTokenVariable = "MASKWATCH_WEBHOOK_TOKEN";
constexpr const char* kServeVariable = "MASKWATCH_SERVE_TOKEN";
constexpr const char* kSecretVariable = "MASKWATCH_WEBHOOK_SECRET";

void check_discovery(const std::string& prefix) {
  std::string fault = fault_of_topic(prefix);
  if (prefix.empty() || prefix.back() == '/' || prefix.find(' ') != std::string::npos)
    fault = "is not the prefix of a topic";
  if (!fault.empty())
    throw UsageError("--mqtt-discovery " + prefix + ": " + fault,
                     "homeassistant is Home Assistant's own, off tells it nothing");
}

MqttOptions read_mqtt_options(const SinkArguments& a) {
  MqttOptions out;
  out.address = parse_mqtt_address(a.mqtt);
  if (!has_mqtt())
    throw UsageError("--mqtt: this build has no libmosquitto", "meson setup -Dmqtt=enabled");
  const auto needs_user = [&](const std::string& origin) {
    if (out.address.user.empty())
      throw UsageError(origin + ": the address of --mqtt names no user", "mqtt://user@host/topic");
  };
  if (!a.mqtt_password_file.empty()) needs_user("--mqtt-password-file");
  out.password = read_secret("--mqtt-password-file", a.mqtt_password_file, kPasswordVariable);
  if (!out.password.empty()) needs_user(kPasswordVariable);
  out.ca_file = a.mqtt_ca;
  if (!out.ca_file.empty()) {
    if (!out.address.tls)
      throw UsageError("--mqtt-ca: the address of --mqtt is not mqtts://, so it could not act");
    read_file(out.ca_file);
  }
  if (a.mqtt_discovery != "off") {
    check_discovery(a.mqtt_discovery);
    out.discovery = a.mqtt_discovery;
  }
  out.snapshot_every = a.mqtt_snapshot_every;
  return out;
}

WebhookOptions read_webhook_options(const SinkArguments& a) {
  WebhookOptions out;
  out.url = a.webhook;
  const bool tls = webhook_origin(out.url).starts_with("https:");
  out.token = read_secret("--webhook-token-file", a.webhook_token_file, kTokenVariable);
  out.secret = read_secret("--webhook-secret-file", a.webhook_secret_file, kSecretVariable);
  if (!a.webhook_ca.empty() && !tls)
    throw UsageError("--webhook-ca: the address of --webhook is not https://, so it could not act");
  if (!a.webhook_ca.empty()) read_file(a.webhook_ca);
  out.ca_file = a.webhook_ca;
  return out;
}

ServeOptions read_serve_options(const SinkArguments& a) {
  ServeOptions out;
  out.address = parse_listen_address(a.serve);
  out.token = read_secret("--serve-token-file", a.serve_token_file, kServeVariable);
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_' || c == '~';
  };
  if (!std::all_of(out.token.begin(), out.token.end(), plain))
    throw UsageError("--serve: the token holds characters that no address can carry",
                     "letters, digits and - . _ ~ only; openssl rand -hex 16 makes one");
  return out;
}

void add_mqtt_options(OptionParser& parser, SinkArguments& a) {
  parser.group("Events to an MQTT broker (the password: MASKWATCH_MQTT_PASSWORD)");
  const OptionParser::Option& mqtt =
      parser.add("--mqtt", &a.mqtt,
                 "mqtt[s]://[user@]host[:port]/topic: publish events, counts and a snapshot there");
  parser
      .add("--mqtt-password-file", &a.mqtt_password_file,
           "Take the password from the first line of this file")
      .needs(mqtt);
  parser
      .add("--mqtt-ca", &a.mqtt_ca,
           "mqtts: trust the certificate authorities of this PEM file, not those of the system")
      .needs(mqtt);
  parser
      .add("--mqtt-snapshot-every", &a.mqtt_snapshot_every,
           "Seconds between snapshots; there is one with each event too; 0: none at all")
      .range(0., 86400.)
      .show_default()
      .needs(mqtt);
  parser
      .add("--mqtt-discovery", &a.mqtt_discovery,
           "Topic below which Home Assistant looks for new devices; off: tell it nothing")
      .show_default()
      .needs(mqtt);
}

void add_webhook_options(OptionParser& parser, SinkArguments& a) {
  parser.group("Events to a web hook (secrets: MASKWATCH_WEBHOOK_TOKEN, MASKWATCH_WEBHOOK_SECRET)");
  const OptionParser::Option& webhook =
      parser.add("--webhook", &a.webhook,
                 "http[s]://host[:port]/path: a POST request there for each event, with the JSON "
                 "that --events writes");
  parser
      .add("--webhook-token-file", &a.webhook_token_file,
           "Send the first line of this file as \"Authorization: Bearer\"")
      .needs(webhook);
  parser
      .add("--webhook-secret-file", &a.webhook_secret_file,
           "Sign with the first line of this file: X-Maskwatch-Signature-256: sha256=, and the "
           "HMAC of the body")
      .needs(webhook);
  parser
      .add("--webhook-ca", &a.webhook_ca,
           "https: trust the certificate authorities of this PEM file, not those of the system")
      .needs(webhook);
}

void add_serve_options(OptionParser& parser, SinkArguments& a) {
  parser.group("View in a browser, figures for Prometheus (token: MASKWATCH_SERVE_TOKEN)");
  const OptionParser::Option& serve =
      parser.add("--serve", &a.serve,
                 "ADDRESS:PORT, or a port of 127.0.0.1: a page with the video, /stream.mjpg, "
                 "/snapshot.jpg, /state, /metrics and /healthz");
  parser
      .add("--serve-token-file", &a.serve_token_file,
           "Show nothing to who does not know the first line of this file")
      .needs(serve);
}

// A secret stands in the environment, and nothing asks for it: somebody may think that it does.
void tell_of_unused(const std::string& argument, const std::string& option,
                    std::initializer_list<const char*> variables) {
  for (const char* variable : variables)
    if (const char* value = std::getenv(variable); argument.empty() && value && *value != '\0')
      tell(fmt::format("{} is set, but there is no {}", variable, option));
}

}  // namespace

void add_sink_options(OptionParser& parser, SinkArguments& arguments) {
  add_mqtt_options(parser, arguments);
  add_webhook_options(parser, arguments);
  add_serve_options(parser, arguments);
}

SinkOptions read_sink_options(const SinkArguments& arguments) {
  SinkOptions out;
  tell_of_unused(arguments.mqtt, "--mqtt", {kPasswordVariable});
  tell_of_unused(arguments.serve, "--serve", {kServeVariable});
  tell_of_unused(arguments.webhook, "--webhook", {kTokenVariable, kSecretVariable});
  if (!arguments.mqtt.empty()) out.mqtt = read_mqtt_options(arguments);
  if (!arguments.serve.empty()) out.serve = read_serve_options(arguments);
  if (!arguments.webhook.empty()) out.webhook = read_webhook_options(arguments);
  return out;
}

}  // namespace maskwatch::apps
