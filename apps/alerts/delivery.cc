#include "apps/alerts/delivery.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "apps/common/program.h"
#include "base/file.h"

namespace maskwatch::apps {
namespace {

constexpr double kPatience = 5;  // seconds after close() for what is left
constexpr double kGrace = .5;    // and for the thread to end after that
constexpr std::size_t kMostNotes = 100;

}  // namespace

Delivery::Delivery(std::string name, std::size_t capacity)
    : name_(std::move(name)), capacity_(capacity) {}

void Delivery::push(int source, std::string line) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_at_) return;
    ++figures_.taken;
    if (waiting_.size() >= capacity_) {
      waiting_.pop_front();
      if (figures_.dropped++ == drops_told_)
        note(fmt::format("{} events wait already: the oldest are dropped", capacity_));
    }
    waiting_.push_back({source, std::move(line), Clock::now()});
  }
  wake();
}

void Delivery::close() {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_at_) closed_at_ = Clock::now();
  }
  wake();
}

std::exception_ptr Delivery::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, nullptr);
}

std::vector<std::string> Delivery::take_notes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(notes_, {});
}

DeliveryFigures Delivery::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

std::optional<OutgoingEvent> Delivery::pop() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  OutgoingEvent event = std::move(waiting_.front());
  waiting_.pop_front();
  return event;
}

void Delivery::delivered(const OutgoingEvent& event) {
  const std::lock_guard lock(mutex_);
  ++figures_.delivered;
  figures_.delay.add(seconds_since(event.made));
  if (waiting_.empty()) tell_of_drops();
}

void Delivery::dropped(const OutgoingEvent&, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (figures_.dropped++ == drops_told_) note("an event was dropped: " + reason);
  if (waiting_.empty()) tell_of_drops();
}

// Once the queue is empty again, so that a full one is told of twice and not ten thousand times.
void Delivery::tell_of_drops() {
  if (figures_.dropped == drops_told_) return;
  note(fmt::format("{} of {} events dropped until now", figures_.dropped, figures_.taken));
  drops_told_ = figures_.dropped;
}

void Delivery::reached() {
  const std::lock_guard lock(mutex_);
  if (!trouble_.empty())
    note(fmt::format("connected{} after {:.1f} s", ever_reached_ ? " again" : "",
                     seconds_since(lost_at_)));
  trouble_.clear();
  refused_ = false;
  ever_reached_ = figures_.reached = true;
}

void Delivery::unreachable(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (trouble_.empty()) {
    lost_at_ = Clock::now();
    figures_.outages += ever_reached_;
  }
  if (reason != trouble_ && !closed_at_) note(reason + "; trying again");
  trouble_ = reason;
  figures_.reached = false;
}

void Delivery::refused(const std::string& reason) {
  {
    const std::lock_guard lock(mutex_);
    if (!ever_reached_ && !error_)
      error_ = std::make_exception_ptr(UsageError(name_ + ": " + reason));
    if (!ever_reached_) {
      refused_ = true;
      trouble_ = reason;
      return;
    }
  }
  unreachable(reason);
}

bool Delivery::ever_reached() const {
  const std::lock_guard lock(mutex_);
  return ever_reached_;
}

bool Delivery::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_at_.has_value();
}

bool Delivery::over() const {
  const std::lock_guard lock(mutex_);
  return closed_at_ && (figures_.waiting() == 0 || refused_ || out_of_time_locked());
}

bool Delivery::out_of_time() const {
  const std::lock_guard lock(mutex_);
  return out_of_time_locked();
}

bool Delivery::out_of_time_locked() const {
  return closed_at_ && seconds_since(*closed_at_) > kPatience;
}

short Delivery::wait(double seconds, int descriptor, short events) {
  std::array<pollfd, 2> files{{{wake_.descriptor(), POLLIN, 0}, {descriptor, events, 0}}};
  const int wait_ms = static_cast<int>(std::ceil(std::max(seconds, 0.) * 1e3));
  poll(files.data(), descriptor < 0 ? 1 : 2, wait_ms);
  wake_.clear();
  return files[1].revents;
}

void Delivery::end() {
  const std::lock_guard lock(mutex_);
  if (const std::int64_t left = figures_.waiting(); left > 0 && !error_)
    error_ = std::make_exception_ptr(WriteError(fmt::format(
        "{}: {} of {} events were not delivered: {}", name_, left + figures_.dropped,
        figures_.taken, trouble_.empty() ? "the receiver did not answer in time" : trouble_)));
  else if (figures_.dropped > 0 && !error_)
    error_ = std::make_exception_ptr(WriteError(
        fmt::format("{}: {} of {} events were dropped", name_, figures_.dropped, figures_.taken)));
}

void Delivery::note(const std::string& text) {
  if (notes_.size() < kMostNotes) notes_.push_back(name_ + ": " + text);
}

DeliverySink::~DeliverySink() { DeliverySink::finish(); }

void DeliverySink::start(std::function<void()> send) {
  thread_ = std::thread([send = std::move(send), delivery = delivery_, ending = ending_]() mutable {
    send();
    send = nullptr;
    delivery->end();
    const std::lock_guard lock(ending->mutex);
    ending->ended = true;
    ending->changed.notify_all();
  });
}

void DeliverySink::finish() {
  if (!thread_.joinable()) return;
  close();
  std::unique_lock lock(ending_->mutex);
  const auto longest = std::chrono::duration<double>(kPatience + kGrace);
  const bool ended = ending_->changed.wait_for(lock, longest, [this] { return ending_->ended; });
  lock.unlock();
  if (ended) {
    thread_.join();
    return;
  }
  thread_.detach();
  delivery_->end();
}

double back_off(int failures, double shortest, double longest) {
  static thread_local std::minstd_rand random(std::random_device{}());
  const double wait = std::min(longest, shortest * std::exp2(std::clamp(failures, 0, 30)));
  return wait * std::uniform_real_distribution(.75, 1.25)(random);
}

}  // namespace maskwatch::apps
