#include "apps/alerts/sink_options.h"

#include <algorithm>

#include "apps/alerts/mqtt_client.h"
#include "apps/alerts/secret.h"
#include "apps/common/program.h"
#include "base/file.h"

namespace maskwatch::apps {
namespace {

constexpr const char* kPasswordVariable = "MASKWATCH_MQTT_PASSWORD";

void check_discovery(const std::string& prefix) {
  if (prefix.empty() || prefix.front() == '$' || prefix.back() == '/' ||
      prefix.find_first_of("+# ") != std::string::npos)
    throw UsageError("--mqtt-discovery " + prefix + ": is not the prefix of a topic",
                     "homeassistant is Home Assistant's own, off tells it nothing");
}

MqttOptions read_mqtt_options(const SinkArguments& a) {
  MqttOptions out;
  out.address = parse_mqtt_address(a.mqtt);
  if (!has_mqtt())
    throw UsageError("--mqtt: this build has no libmosquitto", "meson setup -Dmqtt=enabled");
  if (out.address.user.empty() && !a.mqtt_password_file.empty())
    throw UsageError("--mqtt-password-file: the address of --mqtt names no user",
                     "mqtt://user@host/topic");
  out.password = read_secret("--mqtt-password-file", a.mqtt_password_file, kPasswordVariable);
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

}  // namespace

void add_sink_options(OptionParser& parser, SinkArguments& arguments) {
  add_mqtt_options(parser, arguments);
}

SinkOptions read_sink_options(const SinkArguments& arguments) {
  SinkOptions out;
  if (!arguments.mqtt.empty()) out.mqtt = read_mqtt_options(arguments);
  return out;
}

}  // namespace maskwatch::apps
