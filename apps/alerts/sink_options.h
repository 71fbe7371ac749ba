// The options of detect_mask_video that send events, counts and pictures elsewhere.
#pragma once

#include <optional>
#include <string>

#include "apps/alerts/mqtt_options.h"
#include "apps/alerts/serve_options.h"
#include "apps/alerts/webhook_options.h"
#include "apps/common/options.h"

namespace maskwatch::apps {

// As they stand on the command line.
struct SinkArguments {
  std::string mqtt, mqtt_password_file, mqtt_ca, mqtt_discovery = "homeassistant";
  double mqtt_snapshot_every = 10;
  std::string webhook, webhook_token_file, webhook_secret_file, webhook_ca;
  std::string serve, serve_token_file;
};

// What they mean. What depends on the model or the source is set later.
struct SinkOptions {
  std::optional<MqttOptions> mqtt;
  std::optional<WebhookOptions> webhook;
  std::optional<ServeOptions> serve;
};

// Their groups of --help. `arguments` must live until parse().
void add_sink_options(OptionParser& parser, SinkArguments& arguments);

// After parse(). Reads the secrets, and tells of those that nothing asks for. UsageError for an
// option that is wrong, or could not act.
SinkOptions read_sink_options(const SinkArguments& arguments);

}  // namespace maskwatch::apps
