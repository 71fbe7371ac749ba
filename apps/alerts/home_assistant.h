// What tells Home Assistant of the camera over MQTT, so that a device with its entities appears by
// itself: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
#pragma once

#include <string>
#include <vector>

#include "apps/alerts/mqtt_options.h"

namespace maskwatch::apps {

// The topics below that of --mqtt.
struct MqttTopics {
  explicit MqttTopics(const std::string& topic)
      : availability(topic + "/availability"),
        state(topic + "/state"),
        events(topic + "/events"),
        snapshot(topic + "/snapshot") {}
  std::string availability;  // retained: "online" or "offline"
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
