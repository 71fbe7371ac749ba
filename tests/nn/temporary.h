// What several tests of nn need: a folder of their own, drawn tensors, a caught message.
#pragma once

#include <unistd.h>

#include <concepts>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "base/random.h"
#include "nn/tensor.h"

namespace maskwatch::nn_test {

// Gone, with all that is in it, at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("maskwatch_nn_" + std::to_string(getpid()) + "_" + std::to_string(number++));
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline void write(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);  // ext4 syncs a file that is truncated and written again
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
}

inline std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Normal numbers.
inline nn::Tensor drawn(nn::Shape shape, std::uint64_t seed, double deviation = 1) {
  Random random = Random::of_seed(seed);
  nn::Tensor tensor = nn::Tensor::empty(std::move(shape));
  for (std::int64_t i = 0; i < tensor.count(); ++i)
    tensor.data()[i] = static_cast<float>(deviation * random.gaussian());
  return tensor;
}

// The message of the Exception that `run` throws; "nothing was thrown" without one. Another kind of
// exception passes through and fails the test.
template <typename Exception, typename Run>
std::string message_of(const Run& run) {
  try {
    run();
  } catch (const Exception& exception) {
    return exception.what();
  }
  return "nothing was thrown";
}

// What the caller's fault is said to be.
template <std::invocable Run>
std::string fault_of(const Run& run) {
  return message_of<std::invalid_argument>(run);
}

inline std::vector<double> in_double(const nn::Tensor& tensor) {
  const auto values = tensor.values();
  return {values.begin(), values.end()};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Another number of threads until the end of the scope.
struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(0); }
};

}  // namespace maskwatch::nn_test
