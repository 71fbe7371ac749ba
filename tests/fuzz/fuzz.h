// What is fuzzed: one target for each kind of file that strangers may hand us. A target is the same
// under libFuzzer (libfuzzer.cc, `make fuzz`) and in the ordinary tests (fuzz_test.cc), which run
// the seeds and a few changed ones.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace maskwatch::fuzz {

// Changes bytes without knowing what they mean; they grow to at most `most`.
using Mutator = std::function<void(std::string& bytes, std::size_t most)>;

struct Target {
  const char* name;  // also of its dictionary
  // Small sound files, made here.
  std::vector<std::string> (*seeds)();
  // Reads the bytes as the programs read such a file, and does what they do with it. False for a
  // file that is refused; whatever else happens is a finding.
  bool (*run)(std::string_view bytes);
  // Changes bytes so that the change gets past check sums and lengths; null: `plain` serves.
  void (*mutate)(std::string& bytes, std::size_t most, const Mutator& plain, Random& random);
  bool all_seeds_sound;  // or one at least
};

extern const Target annotations, cascade, checkpoint, landmarks, model, names, network, picture,
    request;

// Limits of base/resource_limits.h at which a run takes moments.
void set_small_limits();

// Runs `body`; false if it throws std::runtime_error or std::invalid_argument, faults of a file.
bool expect_faults(const std::function<void()>& body);

// For safetensors: changes either the header, whose length is put right, or the values.
void mutate_safetensors(std::string& bytes, std::size_t most, const Mutator& plain, Random& random);

// The bytes of a file that `save` writes to the path that it is given.
std::string bytes_of(const std::function<void(const std::string& path)>& save);

}  // namespace maskwatch::fuzz
