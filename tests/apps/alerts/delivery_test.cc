// What becomes of events whose receiver is slow, away or refuses them.
#include "apps/alerts/delivery.h"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "apps/common/program.h"
#include "base/file.h"

using namespace maskwatch;
using apps::Delivery;

namespace {

std::string fault_of(const std::exception_ptr& error) {
  if (!error) return "";
  try {
    std::rethrow_exception(error);
  } catch (const apps::UsageError& usage) {
    return std::string("usage: ") + usage.what();
  } catch (const WriteError& lost) {
    return std::string("lost: ") + lost.what();
  }
}

class TestSink : public apps::DeliverySink {
 public:
  explicit TestSink(std::function<void(Delivery&)> send)
      : DeliverySink(std::make_shared<Delivery>("--test")) {
    start([send = std::move(send), delivery = delivery_] { send(*delivery); });
  }
};

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("a full queue drops the oldest events, which is told at first and at the end") {
  Delivery delivery("--test", 3);
  for (int i = 0; i < 10; ++i) delivery.push(0, std::to_string(i));
  CHECK(delivery.take_notes() ==
        std::vector<std::string>{"--test: 3 events wait already: the oldest are dropped"});
  for (const char* left : {"7", "8", "9"}) {
    const auto event = delivery.pop();
    REQUIRE(event);
    CHECK(event->line == left);
    delivery.delivered(*event);
  }
  CHECK(!delivery.pop());
  CHECK(delivery.take_notes() ==
        std::vector<std::string>{"--test: 7 of 10 events dropped until now"});
  const apps::DeliveryFigures figures = delivery.figures();
  CHECK(figures.taken == 10);
  CHECK(figures.delivered == 3);
  CHECK(figures.dropped == 7);
  CHECK(figures.waiting() == 0);
  CHECK(figures.delay.count() == 3);
  delivery.close();
  CHECK(delivery.over());
  delivery.end();
  CHECK(fault_of(delivery.take_error()) == "lost: --test: 7 of 10 events were dropped");
}

TEST_CASE("an outage is told once, and so is its end") {
  Delivery delivery("--test");
  delivery.unreachable("nobody there");
  delivery.unreachable("nobody there");
  CHECK(delivery.take_notes() == std::vector<std::string>{"--test: nobody there; trying again"});
  CHECK(delivery.figures().outages == 0);  // it had not been reached yet
  delivery.reached();
  REQUIRE(delivery.take_notes().size() == 1);
  CHECK(delivery.figures().reached);
  delivery.refused("wrong password");  // since when?
  CHECK(!delivery.take_error());
  CHECK(delivery.figures().outages == 1);
  CHECK(delivery.take_notes() == std::vector<std::string>{"--test: wrong password; trying again"});
}

TEST_CASE("who is refused from the beginning has to mend it, and need not wait") {
  Delivery delivery("--test");
  delivery.push(0, "an event");
  delivery.refused("wrong password");
  CHECK(fault_of(delivery.take_error()) == "usage: --test: wrong password");
  CHECK(!delivery.over());
  delivery.close();
  CHECK(delivery.over());
  CHECK(!delivery.out_of_time());
}

TEST_CASE("waiting ends with an event, and when somebody wakes the sender") {
  Delivery delivery("--test");
  std::thread giver([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    delivery.push(0, "an event");
  });
  CHECK(seconds_of([&] { delivery.wait(5); }) < 2);
  giver.join();
  CHECK(delivery.pop());
  delivery.wake();
  CHECK(seconds_of([&] { delivery.wait(5); }) < 1);
  CHECK(seconds_of([&] { delivery.wait(.05); }) >= .045);
}

TEST_CASE("a sink sends what is left when it ends") {
  std::vector<std::string> sent;
  TestSink sink([&](Delivery& delivery) {
    while (!delivery.over()) {
      if (const auto event = delivery.pop()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        sent.push_back(event->line);
        delivery.delivered(*event);
      } else {
        delivery.wait(1);
      }
    }
  });
  for (int i = 0; i < 20; ++i) sink.write(0, std::to_string(i));
  sink.finish();
  CHECK(sent.size() == 20);
  CHECK(!sink.take_error());
  sink.write(0, "too late");
  CHECK(sink.figures()->taken == 20);
}

TEST_CASE("a sender that hangs is left behind, and what it held was not delivered") {
  struct Release {
    std::mutex mutex;
    std::condition_variable changed;
    bool go = false, gone = false;
  };
  const auto release = std::make_shared<Release>();
  TestSink sink([release](Delivery& delivery) {
    delivery.unreachable("it hangs");
    std::unique_lock lock(release->mutex);
    release->changed.wait(lock, [&] { return release->go; });
    release->gone = true;
    release->changed.notify_all();
  });
  sink.write(0, "an event");
  const double took = seconds_of([&] { sink.finish(); });
  CHECK(took > 4);
  CHECK(took < 8);
  CHECK(fault_of(sink.take_error()) == "lost: --test: 1 of 1 events were not delivered: it hangs");
  std::unique_lock lock(release->mutex);
  release->go = true;
  release->changed.notify_all();
  release->changed.wait(lock, [&] { return release->gone; });
}

TEST_CASE("what is left is told with a reason, even if nothing failed before") {
  Delivery delivery("--test");
  delivery.push(0, "an event");
  delivery.close();
  delivery.end();
  CHECK(fault_of(delivery.take_error()) ==
        "lost: --test: 1 of 1 events were not delivered: the receiver did not answer in time");
}

TEST_CASE("pauses double up to the longest, each a little different") {
  for (int failures = 0; failures < 70; ++failures) {
    const double usual = failures < 7 ? .5 * (1 << failures) : 60;
    const double pause = apps::back_off(failures, .5, 60);
    CHECK(pause >= .74 * std::min(usual, 60.));
    CHECK(pause <= 1.26 * std::min(usual, 60.));
  }
}
