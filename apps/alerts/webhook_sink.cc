#include "apps/alerts/webhook_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <random>
#include <utility>

#include "apps/alerts/http_post.h"

namespace maskwatch::apps {
namespace {

constexpr double kFirstRetry = .5, kLastRetry = 60;  // seconds
constexpr double kLongestAsked = 300;                // seconds that a receiver may ask for
constexpr double kIdle = 1;                          // seconds between looks at the end
constexpr double kHurry = 1;                         // seconds between attempts at the end

bool may_come_later(int status) {
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

}  // namespace

class WebhookSink::Sender {
 public:
  Sender(const WebhookOptions& options, std::shared_ptr<Delivery> delivery)
      : delivery_(std::move(delivery)),
        poster_(options, [d = delivery_.get()] { return d->out_of_time(); }) {}

  void run() {
    while (!delivery_->over()) {
      const auto event = delivery_->pop();
      if (!event)
        delivery_->wait(kIdle);
      else
        send(*event);
    }
  }

 private:
  // Until the event is settled or the time is over.
  void send(const OutgoingEvent& event) {
    const std::string id = fmt::format("{:08x}-{}", session_, ++number_);
    for (int failures = 0; !delivery_->over(); ++failures) {
      const double asked = attempt(event, id);
      if (asked < 0) return;
      pause(std::max(asked, back_off(failures, kFirstRetry, kLastRetry)));
    }
  }

  // Below 0: settled. Else the seconds that the receiver wants to be left alone.
  double attempt(const OutgoingEvent& event, const std::string& id) try {
    const PostAnswer answer = poster_.post(event.line, id);
    if (answer.status >= 200 && answer.status < 300) {
      delivery_->reached();
      delivery_->delivered(event);
      return -1;
    }
    const std::string what = fmt::format("the receiver answers with status {}", answer.status);
    if (may_come_later(answer.status)) {
      delivery_->unreachable(what);
      return std::min(answer.retry_after, kLongestAsked);
    }
    if (delivery_->ever_reached())
      delivery_->reached();
    else
      delivery_->refused(what);
    delivery_->dropped(event, what);
    return -1;
  } catch (const PostFailure& failure) {
    if (failure.refused)
      delivery_->refused(failure.what());
    else
      delivery_->unreachable(failure.what());
    return 0;
  } catch (const std::exception& fault) {  // no memory, say: not the end of the video
    delivery_->unreachable(fault.what());
    return 0;
  }

  void pause(double seconds) {
    const Clock::time_point start = Clock::now();
    while (!delivery_->over() && seconds_since(start) < seconds) {
      if (delivery_->closed() && seconds_since(start) > kHurry) return;
      delivery_->wait(std::min(seconds - seconds_since(start), kIdle));
    }
  }

  const std::shared_ptr<Delivery> delivery_;
  HttpPoster poster_;
  const unsigned session_ = std::random_device()();
  std::int64_t number_ = 0;
};

WebhookSink::WebhookSink(const WebhookOptions& options)
    : DeliverySink(std::make_shared<Delivery>("--webhook " + webhook_origin(options.url))) {
  start([sender = std::make_shared<Sender>(options, delivery_)] { sender->run(); });
}

}  // namespace maskwatch::apps
