// Where the build has no libmosquitto.
#include "apps/alerts/mqtt_client.h"
#include "apps/common/program.h"

namespace maskwatch::apps {

struct MqttClient::Session {};

bool has_mqtt() { return false; }

MqttClient::MqttClient(const MqttOptions&, const std::string&) {
  throw UsageError("--mqtt: this build has no libmosquitto", "meson setup -Dmqtt=enabled");
}

MqttClient::~MqttClient() = default;
void MqttClient::connect(Delivery&) {}
bool MqttClient::connected() const { return false; }
int MqttClient::publish(const std::string&, std::string_view, bool) { return 0; }
void MqttClient::work(Delivery&, double) {}
std::vector<int> MqttClient::take_acknowledged() { return {}; }
void MqttClient::disconnect() {}

}  // namespace maskwatch::apps
