// --mqtt and what goes with it.
#pragma once

#include <string>
#include <vector>

namespace maskwatch::apps {

struct MqttAddress {
  bool tls = false;
  std::string user, host, topic;  // user: may be empty
  int port = 1883;                // 8883 with TLS
  // Without the user: "mqtts://host:8883/topic".
  std::string text() const;
};

// mqtt[s]://[user@]host[:port]/topic; %XX stands for a byte in the user and the topic. UsageError
// for anything else, and for a password in it; the message never holds one.
MqttAddress parse_mqtt_address(const std::string& text);

// What is wrong with a topic that is written to; empty: nothing.
std::string fault_of_topic(const std::string& topic);

struct MqttOptions {
  MqttAddress address;
  std::string password;                  // empty: none
  std::string ca_file;                   // empty: the authorities that the system trusts
  std::string discovery;                 // Home Assistant's prefix; empty: it is told nothing
  double snapshot_every = 10;            // seconds; 0: no snapshots
  std::vector<std::string> sources{""};  // their names; one without has no level of its own
  bool counts_worn_wrongly = false;      // whether a label of the model means that
};

}  // namespace maskwatch::apps
