// Each target's seeds are sound where they should be, and changed ones do no harm: a moment's
// fuzzing in the ordinary build, always the same. `make fuzz` goes on, with sanitizers.
#include "tests/fuzz/fuzz.h"

#include <doctest/doctest.h>

using namespace maskwatch;

namespace {

void change(std::string& bytes, std::size_t most, Random& random) {
  const auto place = [&] {
    return static_cast<std::size_t>(random.below(static_cast<int>(bytes.size())));
  };
  for (int changes = 1 + random.below(3); changes > 0 && !bytes.empty(); --changes) {
    const std::size_t at = place(),
                      length = std::min<std::size_t>(1 + static_cast<std::size_t>(random.below(16)),
                                                     bytes.size() - at);
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(place(), bytes.substr(at, length));
        break;
      default:
        bytes.resize(at);
    }
  }
  if (bytes.size() > most) bytes.resize(most);
}

}  // namespace

TEST_CASE("seeds and what becomes of them by a few changes do no harm") {
  fuzz::set_small_limits();
  for (const fuzz::Target* target :
       {&fuzz::annotations, &fuzz::cascade, &fuzz::checkpoint, &fuzz::landmarks, &fuzz::model,
        &fuzz::names, &fuzz::network, &fuzz::picture, &fuzz::request}) {
    CAPTURE(target->name);
    const std::vector<std::string> seeds = target->seeds();
    REQUIRE(!seeds.empty());
    Random random{7};
    const fuzz::Mutator plain = [&](std::string& bytes, std::size_t most) {
      change(bytes, most, random);
    };
    std::size_t bytes_run = 0;
    std::size_t sound = 0;
    for (const std::string& seed : seeds) sound += target->run(seed);
    CHECK(sound >= (target->all_seeds_sound ? seeds.size() : 1));
    for (int round = 0; round < 3000 && bytes_run < 64u << 20; ++round) {
      std::string bytes = seeds[static_cast<std::size_t>(round) % seeds.size()];
      const std::size_t most = bytes.size() + 256;
      if (target->mutate == nullptr)
        plain(bytes, most);
      else
        target->mutate(bytes, most, plain, random);
      target->run(bytes);
      bytes_run += bytes.size();
    }
  }
}
