// What tells Home Assistant of the camera over MQTT, so that a device with its entities appears by
// itself: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
#pragma once

#include <string>
#include <vector>

#include "apps/alerts/mqtt_options.h"

namespace maskwatch::apps {

// The topics below that of --mqtt.
struct MqttTopics {
  // `source`: its name, a level of its own; empty: none.
  MqttTopics(const std::string& topic, const std::string& source);
  std::string base;          // all but the next lie below it
  std::string availability;  // retained: "online" or "offline"; of all sources
  std::string state;         // retained: counts, as JSON
  std::string events;        // lines of --events
  std::string snapshot;      // retained: a JPEG
};

struct MqttMessage {
  std::string topic, payload;
};

// To be published retained; empty where `options` do without.
std::vector<MqttMessage> home_assistant_discovery(const MqttOptions& options);

}  // namespace maskwatch::apps
