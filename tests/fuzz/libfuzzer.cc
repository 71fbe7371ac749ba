// One target, FUZZ_TARGET, as libFuzzer runs it. "--seeds FOLDER" writes its seeds and ends.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "base/file.h"
#include "tests/fuzz/fuzz.h"

using namespace maskwatch;

namespace {
const fuzz::Target& target = fuzz::FUZZ_TARGET;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* bytes, std::size_t size, std::size_t most);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  fuzz::set_small_limits();
  if (*argc != 3 || std::strcmp((*argv)[1], "--seeds") != 0) return 0;
  try {
    const std::filesystem::path folder = (*argv)[2];
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const std::string& seed : target.seeds())
      write_file_atomically((folder / ("seed_" + std::to_string(number++))).string(), seed);
  } catch (const std::exception& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    std::exit(1);
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  target.run({reinterpret_cast<const char*>(bytes), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size,
                                               std::size_t most, unsigned seed) {
  const auto plain = [](std::string& text, std::size_t room) {
    const std::size_t before = text.size();
    text.resize(std::max(room, before));
    text.resize(
        LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), before, text.size()));
  };
  if (target.mutate == nullptr) return LLVMFuzzerMutate(bytes, size, most);
  std::string text(reinterpret_cast<const char*>(bytes), size);
  Random random{seed};
  target.mutate(text, most, plain, random);
  if (text.size() > most) text.resize(most);
  std::memcpy(bytes, text.data(), text.size());
  return text.size();
}
