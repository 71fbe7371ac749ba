// A connection to an MQTT broker (version 3.1.1) that publishes with QoS 1, through libmosquitto.
// One thread uses it. What a broken connection had not acknowledged is sent again by the library
// over the next one, so the broker may get it twice, but not lose it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "apps/alerts/delivery.h"
#include "apps/alerts/mqtt_options.h"

namespace maskwatch::apps {

// Whether the build has libmosquitto.
bool has_mqtt();

// The broker cannot be reached, or does not want us.
struct MqttFailure : std::runtime_error {
  MqttFailure(const std::string& reason, bool refused)
      : std::runtime_error(reason), refused(refused) {}
  bool refused;  // the user has to mend it: the password, the certificate
};

class MqttClient {
 public:
  // The broker publishes "offline" under `will_topic`, retained, when the connection breaks.
  // UsageError if the file of authorities cannot be used, or the build has no libmosquitto.
  MqttClient(const MqttOptions& options, const std::string& will_topic);
  ~MqttClient();
  MqttClient(const MqttClient&) = delete;
  MqttClient& operator=(const MqttClient&) = delete;

  // Waits for the broker's answer, but not once `delivery` is out of time. MqttFailure.
  void connect(Delivery& delivery);
  bool connected() const;

  // The number by which take_acknowledged() tells that the broker has it. Only while connected; a
  // connection that breaks meanwhile is noticed by work(). std::invalid_argument for what the
  // protocol cannot carry.
  int publish(const std::string& topic, std::string_view bytes, bool retained);

  // Sends and receives; waits as Delivery::wait does. MqttFailure if the connection breaks.
  void work(Delivery& delivery, double seconds);
  // Since the last call.
  std::vector<int> take_acknowledged();

  // The broker does not publish the will after this.
  void disconnect();

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace maskwatch::apps
