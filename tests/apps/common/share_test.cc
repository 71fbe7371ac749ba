// Messages between ranks, and work shared out among them.
#include "apps/common/share.h"

#include <doctest/doctest.h>

#include <mutex>

#include "tests/kernels/thread_communicator.h"

using namespace maskwatch;

TEST_CASE("a message is read as it was written, and not past its end") {
  apps::MessageWriter writer;
  writer.put(1.5);
  writer.put_text(std::string("two\0three", 9));
  writer.put_text("");
  writer.put('c');
  apps::MessageReader reader(writer.bytes());
  CHECK(reader.get<double>() == 1.5);
  CHECK(reader.get_text() == std::string("two\0three", 9));
  CHECK(reader.get_text().empty());
  CHECK_FALSE(reader.at_end());
  CHECK_THROWS_AS(reader.get<double>(), std::out_of_range);
  CHECK(reader.get<char>() == 'c');
  CHECK(reader.at_end());
}

TEST_CASE("each piece of work is done once, and every rank gets all results in their order") {
  for (const int ranks : {1, 2, 3})
    for (const std::size_t count : {0u, 1u, 2u, 7u}) {
      std::mutex mutex;
      std::vector<int> done(count);
      int right = 0;
      on_threads(ranks, [&](kernels::Communicator& communicator) {
        const auto results = apps::share_out(communicator, count, [&](std::size_t i) {
          const std::lock_guard lock(mutex);
          ++done[i];
          return std::string(i * 100, static_cast<char>('a' + i));
        });
        bool good = results.size() == count;
        for (std::size_t i = 0; i < results.size(); ++i)
          good &= results[i] == std::string(i * 100, static_cast<char>('a' + i));
        const std::lock_guard lock(mutex);
        right += good ? 1 : 0;
      });
      CHECK(right == ranks);
      CHECK(done == std::vector<int>(count, 1));
    }
}

TEST_CASE("what rank 0 says reaches all, and all hear all") {
  on_threads(3, [](kernels::Communicator& communicator) {
    const std::string mine(static_cast<std::size_t>(communicator.rank()) * 5, 'x');
    if (apps::broadcast_message(communicator, communicator.rank() == 0 ? "zero" : "other") !=
            "zero" ||
        apps::gather_messages(communicator, mine) !=
            std::vector<std::string>{"", "xxxxx", "xxxxxxxxxx"})
      throw std::logic_error("messages");
  });
}
