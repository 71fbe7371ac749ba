// --mqtt: events, counts and a snapshot to an MQTT broker (apps/alerts/home_assistant.h has the
// topics), all with QoS 1. While the broker is away events wait; counts and snapshot are only kept
// as they are last.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/alerts/delivery.h"
#include "apps/alerts/mqtt_options.h"

namespace maskwatch::apps {

class MqttSink : public DeliverySink {
 public:
  // Connects in a thread of its own. Throws what MqttClient's constructor throws.
  explicit MqttSink(const MqttOptions& options);

  void write(int source, const std::string& line) override;
  void update(int source, const WatchState& state) override;
  // Every snapshot_every seconds, and a second after an event at the latest.
  bool wants_picture(int source) override;
  void show(int source, std::shared_ptr<const vision::Image> picture) override;

 private:
  struct Board;
  class Sender;

  const double snapshot_every_;
  const std::shared_ptr<Board> board_;
  struct Snapshot {
    bool event_unseen = true;  // there is none since
    Clock::time_point shown;   // the last
  };
  std::vector<Snapshot> snapshots_;  // of each source
};

}  // namespace maskwatch::apps
