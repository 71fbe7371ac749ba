// --webhook: a POST request for each event, with the JSON line that --events writes, in order. An
// event is delivered once the receiver answers with 2xx. Where it is away or overloaded (408, 425,
// 429, 5xx) the same event is sent again after a pause that doubles each time; other answers refuse
// it, and it is dropped. Until one event was delivered such an answer is a UsageError: the address
// or the token is wrong.
#pragma once

#include "apps/alerts/delivery.h"
#include "apps/alerts/webhook_options.h"

namespace maskwatch::apps {

class WebhookSink : public DeliverySink {
 public:
  // Sends in a thread of its own. Throws what webhook_origin() and HttpPoster throw.
  explicit WebhookSink(const WebhookOptions& options);

 private:
  class Sender;
};

}  // namespace maskwatch::apps
