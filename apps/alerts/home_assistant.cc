#include "apps/alerts/home_assistant.h"

#include <fmt/format.h>

#include <utility>

#include "base/hash.h"
#include "base/json.h"
#include "base/version.h"  // made by meson

namespace maskwatch::apps {
namespace {

// Discovery topics take letters, digits, _ and - only. The hash keeps "a/b" and "a_b" apart.
std::string identifier(const std::string& topic) {
  std::string out = "maskwatch_";
  for (const char c : topic) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    out += plain || c == '-' ? c : '_';
  }
  return fmt::format("{}_{:08x}", out, Fnv1a().add(topic).value() & 0xffffffff);
}

class Discovery {
 public:
  Discovery(const MqttOptions& options, const std::string& source)
      : options_(options), topics_(options.address.topic, source), id_(identifier(topics_.base)) {}

  void add(const std::string& component, const std::string& object, Json fields) {
    Json config =
        Json::object({{"unique_id", id_ + "_" + object},
                      {"availability_topic", topics_.availability},
                      {"origin", Json::object({{"name", "Maskwatch"}, {"sw_version", kVersion}})},
                      {"device", Json::object({{"identifiers", Json::list({id_})},
                                               {"name", name()},
                                               {"manufacturer", "Maskwatch"},
                                               {"model", "detect_mask_video"},
                                               {"sw_version", kVersion}})}});
    config.update(std::move(fields));
    messages_.push_back(
        {fmt::format("{}/{}/{}/{}/config", options_.discovery, component, id_, object),
         config.dump()});
  }

  void add_count(const char* object, const char* name, const char* icon) {
    add("sensor", object,
        Json::object({{"name", name},
                      {"icon", icon},
                      {"state_topic", topics_.state},
                      {"state_class", "measurement"},
                      {"value_template", fmt::format("{{{{ value_json.{} }}}}", object)}}));
  }

  const MqttTopics& topics() const { return topics_; }
  std::vector<MqttMessage> take() { return std::move(messages_); }

 private:
  // The last level of the topic.
  std::string name() const {
    return "Maskwatch " + topics_.base.substr(topics_.base.rfind('/') + 1);
  }

  const MqttOptions& options_;
  const MqttTopics topics_;
  const std::string id_;
  std::vector<MqttMessage> messages_;
};

void add_events(Discovery& discovery) {
  discovery.add(
      "event", "event",
      Json::object(
          {{"name", "Event"},
           {"icon", "mdi:account-arrow-right"},
           {"state_topic", discovery.topics().events},
           {"event_types", Json::list({"appear", "change", "leave"})},
           {"value_template",
            "{{ dict(event_type=value_json.event, track=value_json.track, label=value_json.label, "
            "confidence=value_json.confidence) | to_json }}"}}));
}

void add_source(const MqttOptions& options, const std::string& source,
                std::vector<MqttMessage>& messages) {
  Discovery discovery(options, source);
  const MqttTopics& topics = discovery.topics();
  discovery.add_count("people", "People", "mdi:account-group");
  discovery.add_count("mask", "With mask", "mdi:face-mask");
  discovery.add_count("no_mask", "Without mask", "mdi:face-man");
  if (options.counts_worn_wrongly)
    discovery.add_count("worn_wrongly", "Mask worn wrongly", "mdi:face-mask-outline");
  discovery.add(
      "binary_sensor", "alarm",
      Json::object({{"name", "Somebody without mask"},
                    {"device_class", "problem"},
                    {"state_topic", topics.state},
                    {"value_template", "{{ 'ON' if value_json.no_mask > 0 else 'OFF' }}"}}));
  discovery.add(
      "binary_sensor", "source",
      Json::object({{"name", "Camera"},
                    {"device_class", "connectivity"},
                    {"entity_category", "diagnostic"},
                    {"state_topic", topics.state},
                    {"value_template", "{{ 'ON' if value_json.source == 'ok' else 'OFF' }}"}}));
  add_events(discovery);
  if (options.snapshot_every > 0)
    discovery.add("camera", "snapshot",
                  Json::object({{"name", "Snapshot"}, {"topic", topics.snapshot}}));
  for (MqttMessage& message : discovery.take()) messages.push_back(std::move(message));
}

}  // namespace

MqttTopics::MqttTopics(const std::string& topic, const std::string& source)
    : base(source.empty() ? topic : topic + "/" + source),
      availability(topic + "/availability"),
      state(base + "/state"),
      events(base + "/events"),
      snapshot(base + "/snapshot") {}

std::vector<MqttMessage> home_assistant_discovery(const MqttOptions& options) {
  std::vector<MqttMessage> messages;
  if (!options.discovery.empty())
    for (const std::string& source : options.sources) add_source(options, source, messages);
  return messages;
}

}  // namespace maskwatch::apps
