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

constexpr std::size_t kInFlight = 20;               // events that the broker has not acknowledged
constexpr double kFirstRetry = .5, kLastRetry = 5;  // seconds
constexpr double kSettled = 10;  // seconds after which a connection counts as good
constexpr double kIdle = 1;      // seconds between looks at a connection without traffic
constexpr double kSoon = 1;      // seconds between snapshots of events
constexpr double kGoodbye = 1;   // seconds for the last words
constexpr int kJpegQuality = 80;

std::string name_of(const MqttOptions& options) { return "--mqtt " + options.address.text(); }

}  // namespace

// What was last said of counts and picture, for the sending thread.
struct MqttSink::Board {
  explicit Board(std::size_t sources) : of_source(sources) {}

  struct News {
    std::optional<WatchState> state;
    std::shared_ptr<const vision::Image> picture;
    bool state_is_new = false, picture_is_new = false;
  };
  std::mutex mutex;
  std::vector<News> of_source;
};

class MqttSink::Sender {
 public:
  Sender(const MqttOptions& options, std::shared_ptr<Delivery> delivery,
         std::shared_ptr<Board> board)
      : discovery_(home_assistant_discovery(options)),
        availability_(MqttTopics(options.address.topic, "").availability),
        client_(options, availability_),
        delivery_(std::move(delivery)),
        board_(std::move(board)) {
    for (const std::string& source : options.sources)
      sources_.emplace_back(options.address.topic, source);
  }

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
    return std::any_of(board_->of_source.begin(), board_->of_source.end(),
                       [](const auto& news) { return news.state_is_new || news.picture_is_new; });
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
    retain(availability_, "online");
    const std::lock_guard lock(board_->mutex);
    for (auto& news : board_->of_source) {
      news.state_is_new = news.state.has_value();
      news.picture_is_new = news.picture != nullptr;
    }
  }

  void exchange() {
    for (std::size_t i = 0; i < sources_.size(); ++i) publish_news(sources_[i], i);
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
      const std::string& topic = sources_[static_cast<std::size_t>(event.source)].topics.events;
      const int number = client_.publish(topic, event.line, false);
      events_.emplace(number, std::move(event));
    } catch (const std::invalid_argument& fault) {
      delivery_->dropped(event, fault.what());
    }
  }

  struct Source {
    Source(const std::string& topic, const std::string& name) : topics(topic, name) {}
    const MqttTopics topics;
    int state_number = 0, picture_number = 0;  // in flight
  };

  // One state and one picture are in flight at a time: of what changes faster than the broker takes
  // it, only the last is sent.
  void publish_news(Source& source, std::size_t index) {
    std::optional<WatchState> state;
    std::shared_ptr<const vision::Image> picture;
    {
      const std::lock_guard lock(board_->mutex);
      Board::News& news = board_->of_source[index];
      if (news.state_is_new && !retained_.contains(source.state_number)) {
        state = news.state;
        news.state_is_new = false;
      }
      if (news.picture_is_new && !retained_.contains(source.picture_number)) {
        picture = news.picture;
        news.picture_is_new = false;
      }
    }
    if (state) source.state_number = retain(source.topics.state, state_json(*state).dump());
    if (picture)
      source.picture_number =
          retain(source.topics.snapshot, vision::codec::encode_jpeg(*picture, kJpegQuality));
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
      const int last = retain(availability_, "offline");
      const Clock::time_point start = Clock::now();
      while (retained_.contains(last) && seconds_since(start) < kGoodbye) {
        client_.work(*delivery_, kIdle / 20);
        settle();
      }
      client_.disconnect();
    } catch (const std::exception&) {  // then the will tells
    }
  }

  const std::vector<MqttMessage> discovery_;
  const std::string availability_;
  MqttClient client_;
  const std::shared_ptr<Delivery> delivery_;
  const std::shared_ptr<Board> board_;
  // In flight, by the client's number.
  std::map<int, OutgoingEvent> events_;
  std::set<int> retained_;
  std::vector<int> discovery_numbers_;
  std::vector<Source> sources_;
  int failures_ = 0;
  Clock::time_point connected_at_;
};

MqttSink::MqttSink(const MqttOptions& options)
    : DeliverySink(std::make_shared<Delivery>(name_of(options))),
      snapshot_every_(options.snapshot_every),
      board_(std::make_shared<Board>(options.sources.size())),
      snapshots_(options.sources.size()) {
  start([sender = std::make_shared<Sender>(options, delivery_, board_)] { sender->run(); });
}

void MqttSink::write(int source, const std::string& line) {
  snapshots_[static_cast<std::size_t>(source)].event_unseen = true;
  DeliverySink::write(source, line);
}

void MqttSink::update(int source, const WatchState& state) {
  {
    const std::lock_guard lock(board_->mutex);
    Board::News& news = board_->of_source[static_cast<std::size_t>(source)];
    if (news.state == state) return;
    news.state = state;
    news.state_is_new = true;
  }
  delivery_->wake();
}

bool MqttSink::wants_picture(int source) {
  if (snapshot_every_ <= 0) return false;
  const Snapshot& last = snapshots_[static_cast<std::size_t>(source)];
  const double pause = last.event_unseen ? std::min(kSoon, snapshot_every_) : snapshot_every_;
  return last.shown == Clock::time_point() || seconds_since(last.shown) >= pause;
}

void MqttSink::show(int source, std::shared_ptr<const vision::Image> picture) {
  if (!wants_picture(source)) return;
  snapshots_[static_cast<std::size_t>(source)] = {false, Clock::now()};
  {
    const std::lock_guard lock(board_->mutex);
    Board::News& news = board_->of_source[static_cast<std::size_t>(source)];
    news.picture = std::move(picture);
    news.picture_is_new = true;
  }
  delivery_->wake();
}

}  // namespace maskwatch::apps
