// Events on their way to somebody who may be slow or away. The thread that displays puts them into
// a queue of limited length and never waits; a thread of the sink's own sends them, and counts what
// became of each: delivered once the receiver has said so, dropped, or still waiting.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/alerts/event_sink.h"
#include "apps/alerts/wake_up.h"

namespace maskwatch::apps {

struct OutgoingEvent {
  int source = 0;
  std::string line;
  Clock::time_point made;
};

// What the two threads share. All functions may be called from any thread.
class Delivery {
 public:
  // `name` begins every message: "--mqtt mqtt://host/topic".
  explicit Delivery(std::string name, std::size_t capacity = 10'000);
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // ---- for the thread that displays

  // If the queue is full the oldest event in it is dropped.
  void push(int source, std::string line);
  // Wakes the sender for something else than an event.
  void wake() { wake_.wake(); }
  void close();
  std::exception_ptr take_error();
  std::vector<std::string> take_notes();
  DeliveryFigures figures() const;

  // ---- for the thread that sends

  // Does not wait. What was taken must be settled by one of the next two.
  std::optional<OutgoingEvent> pop();
  void delivered(const OutgoingEvent& event);
  void dropped(const OutgoingEvent& event, const std::string& reason);

  // The receiver answers, or does not. Told to the user when it changes.
  void reached();
  void unreachable(const std::string& reason);
  // The user has to mend it: ends the program, unless the receiver was reached before; then it
  // is as good as unreachable.
  void refused(const std::string& reason);

  bool ever_reached() const;
  bool closed() const;
  // Closed, and every event is settled, or the receiver refuses them, or the time is over.
  bool over() const;
  // Closed for so long that sending must stop.
  bool out_of_time() const;

  // Waits until something is pushed, woken or closed since the last call, `descriptor` has one of
  // `events` (poll's; -1: none), or the time is over. Returns what `descriptor` has.
  short wait(double seconds, int descriptor = -1, short events = 0);

  // The end of the sending thread: what is left was not delivered, which is an error.
  void end();

 private:
  void note(const std::string& text);
  void tell_of_drops();
  bool out_of_time_locked() const;

  const std::string name_;
  const std::size_t capacity_;
  WakeUp wake_;
  mutable std::mutex mutex_;
  std::deque<OutgoingEvent> waiting_;
  DeliveryFigures figures_;
  std::vector<std::string> notes_;
  std::exception_ptr error_;
  std::string trouble_;  // why the receiver is out of reach; empty: it is not
  Clock::time_point lost_at_;
  std::optional<Clock::time_point> closed_at_;
  std::int64_t drops_told_ = 0;
  bool ever_reached_ = false, refused_ = false;
};

// A sink that sends through a Delivery. Who derives from it calls start().
class DeliverySink : public EventSink {
 public:
  ~DeliverySink() override;  // as finish()
  void write(int source, const std::string& line) override { delivery_->push(source, line); }
  void close() override { delivery_->close(); }
  void finish() override;
  std::exception_ptr take_error() override { return delivery_->take_error(); }
  std::vector<std::string> take_notes() override { return delivery_->take_notes(); }
  std::optional<DeliveryFigures> figures() const override { return delivery_->figures(); }

 protected:
  explicit DeliverySink(std::shared_ptr<Delivery> delivery) : delivery_(std::move(delivery)) {}
  // `send` returns once the delivery is over. A resolver or a connection may hold it longer; then
  // finish() leaves it behind, so it must own, or share, all that it uses.
  void start(std::function<void()> send);

  const std::shared_ptr<Delivery> delivery_;

 private:
  struct Ending {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
  };
  const std::shared_ptr<Ending> ending_ = std::make_shared<Ending>();
  std::thread thread_;
};

// Seconds to wait before attempt number `failures` + 1: doubled after each failure up to `longest`,
// and a quarter more or less by chance, so that many clients do not come back at once.
double back_off(int failures, double shortest, double longest);

}  // namespace maskwatch::apps
