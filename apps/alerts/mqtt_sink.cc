#include "apps/alerts/mqtt_sink.h"

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "apps/alerts/home_assistant.h"
#include "apps/alerts/mqtt_client.h"
#include "vision/image/codec.h"

namespace maskwatch::apps {
namespace {

constexpr std::size_t kInFlight = 20;                // events that the broker has not acknowledged
constexpr double kFirstRetry = .5, kLastRetry = 30;  // seconds
constexpr double kSettled = 10;  // seconds after which a connection counts as good
constexpr double kIdle = 1;      // seconds between looks at a connection without traffic
constexpr double kSoon = 1;      // seconds between snapshots of events
constexpr double kGoodbye = 1;   // seconds for the last words
constexpr int kJpegQuality = 80;

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

std::string name_of(const MqttOptions& options) { return "--mqtt " + options.address.text(); }

}  // namespace

// What was last said of counts and picture, for the sending thread.
struct MqttSink::Board {
  std::mutex mutex;
  std::optional<WatchState> state;
  std::shared_ptr<const vision::Image> picture;
  bool state_is_new = false, picture_is_new = false;
};

class MqttSink::Sender {
 public:
  Sender(const MqttOptions& options, std::shared_ptr<Delivery> delivery,
         std::shared_ptr<Board> board)
      : topics_(options.address.topic),
        discovery_(home_assistant_discovery(options)),
        client_(options, topics_.availability),
        delivery_(std::move(delivery)),
        board_(std::move(board)) {}

  void run() {
    while (!over()) try {
        if (!client_.connected())
          connect();
        else
          exchange();
      } catch (const MqttFailure& failure) {
        fail(failure);
      } catch (const std::exception& fault) {  // no memory, say: not the end of the video
        fail(MqttFailure(fault.what(), false));
      }
    say_goodbye();
  }

 private:
  // The last counts must arrive too.
  bool over() {
    if (!delivery_->over()) return false;
    return delivery_->out_of_time() || !client_.connected() || (retained_.empty() && !has_news());
  }

  bool has_news() {
    const std::lock_guard lock(board_->mutex);
    return board_->state_is_new || board_->picture_is_new;
  }

  void connect() {
    client_.connect(*delivery_);
    connected_at_ = Clock::now();
    delivery_->reached();
    // A broker that was killed has forgotten what it kept, unless it keeps that on a disk. What an
    // earlier connection left in flight the library sends again.
    if (std::none_of(discovery_numbers_.begin(), discovery_numbers_.end(),
                     [this](int number) { return retained_.contains(number); })) {
      discovery_numbers_.clear();
      for (const MqttMessage& message : discovery_)
        discovery_numbers_.push_back(retain(message.topic, message.payload));
    }
    retain(topics_.availability, "online");
    const std::lock_guard lock(board_->mutex);
    board_->state_is_new = board_->state.has_value();
    board_->picture_is_new = board_->picture != nullptr;
  }

  void exchange() {
    publish_news();
    while (events_.size() < kInFlight) {
      auto event = delivery_->pop();
      if (!event) break;
      publish_event(std::move(*event));
    }
    const bool quiet = events_.empty() && retained_.empty() && !delivery_->closed();
    client_.work(*delivery_, quiet ? kIdle : kIdle / 20);
    settle();
    if (seconds_since(connected_at_) > kSettled) failures_ = 0;
  }

  void publish_event(OutgoingEvent event) {
    try {
      const int number = client_.publish(topics_.events, event.line, false);
      events_.emplace(number, std::move(event));
    } catch (const std::invalid_argument& fault) {
      delivery_->dropped(event, fault.what());
    }
  }

  // One state and one picture are in flight at a time: of what changes faster than the broker takes
  // it, only the last is sent.
  void publish_news() {
    std::optional<WatchState> state;
    std::shared_ptr<const vision::Image> picture;
    {
      const std::lock_guard lock(board_->mutex);
      if (board_->state_is_new && !retained_.contains(state_number_)) {
        state = board_->state;
        board_->state_is_new = false;
      }
      if (board_->picture_is_new && !retained_.contains(picture_number_)) {
        picture = board_->picture;
        board_->picture_is_new = false;
      }
    }
    if (state) state_number_ = retain(topics_.state, state_json(*state).dump());
    if (picture)
      picture_number_ =
          retain(topics_.snapshot, vision::codec::encode_jpeg(*picture, kJpegQuality));
  }

  int retain(const std::string& topic, std::string_view bytes) {
    const int number = client_.publish(topic, bytes, true);
    retained_.insert(number);
    return number;
  }

  void settle() {
    for (const int number : client_.take_acknowledged()) {
      retained_.erase(number);
      const auto found = events_.find(number);
      if (found == events_.end()) continue;
      delivery_->delivered(found->second);
      events_.erase(found);
    }
  }

  void fail(const MqttFailure& failure) {
    if (failure.refused)
      delivery_->refused(failure.what());
    else
      delivery_->unreachable(failure.what());
    const Clock::time_point start = Clock::now();
    const double pause = back_off(failures_++, kFirstRetry, kLastRetry);
    while (!over() && seconds_since(start) < pause) {
      if (delivery_->closed() && seconds_since(start) > kFirstRetry) break;
      delivery_->wait(std::min(pause - seconds_since(start), kIdle));
    }
  }

  // Without it the broker would publish the will.
  void say_goodbye() {
    if (!client_.connected()) return;
    try {
      const int last = retain(topics_.availability, "offline");
      const Clock::time_point start = Clock::now();
      while (retained_.contains(last) && seconds_since(start) < kGoodbye) {
        client_.work(*delivery_, kIdle / 20);
        settle();
      }
      client_.disconnect();
    } catch (const std::exception&) {  // then the will tells
    }
  }

  const MqttTopics topics_;
  const std::vector<MqttMessage> discovery_;
  MqttClient client_;
  const std::shared_ptr<Delivery> delivery_;
  const std::shared_ptr<Board> board_;
  // In flight, by the client's number.
  std::map<int, OutgoingEvent> events_;
  std::set<int> retained_;
  std::vector<int> discovery_numbers_;
  int state_number_ = 0, picture_number_ = 0;
  int failures_ = 0;
  Clock::time_point connected_at_;
};

MqttSink::MqttSink(const MqttOptions& options)
    : DeliverySink(std::make_shared<Delivery>(name_of(options))),
      snapshot_every_(options.snapshot_every),
      board_(std::make_shared<Board>()) {
  start([sender = std::make_shared<Sender>(options, delivery_, board_)] { sender->run(); });
}

void MqttSink::write(const std::string& line) {
  event_unseen_ = true;
  DeliverySink::write(line);
}

void MqttSink::update(const WatchState& state) {
  {
    const std::lock_guard lock(board_->mutex);
    if (board_->state == state) return;
    board_->state = state;
    board_->state_is_new = true;
  }
  delivery_->wake();
}

bool MqttSink::wants_picture() {
  if (snapshot_every_ <= 0) return false;
  return shown_ == Clock::time_point() ||
         seconds_since(shown_) >=
             (event_unseen_ ? std::min(kSoon, snapshot_every_) : snapshot_every_);
}

void MqttSink::show(std::shared_ptr<const vision::Image> picture) {
  if (!wants_picture()) return;
  shown_ = Clock::now();
  event_unseen_ = false;
  {
    const std::lock_guard lock(board_->mutex);
    board_->picture = std::move(picture);
    board_->picture_is_new = true;
  }
  delivery_->wake();
}

}  // namespace maskwatch::apps
