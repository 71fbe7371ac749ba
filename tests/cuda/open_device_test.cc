// Opening a GPU: a line that says what is missing, or a device that moves numbers.
#include "cuda/open_device.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace maskwatch::cuda {
namespace {

std::string error_of(const std::string& name) {
  try {
    open_device(name);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("cuda: names of devices") {
  for (const std::string name : {"", "cpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda0",
                                 "CUDA", "cuda:99999999999999"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(open_device(name), std::invalid_argument);
    CHECK(contains(error_of(name), "no device \"" + name + "\""));
  }
}

TEST_CASE("cuda: devices by the names that libraries take") {
  CHECK(&kernels::device_named("cpu") == &kernels::cpu_device());
  kernels::Device* gpu = &kernels::cpu_device();
  try {
    gpu = &open_device("cuda");
  } catch (const std::runtime_error&) {
    CHECK_THROWS_AS(kernels::device_named("cuda"), std::runtime_error);
  }
  std::string why;
  CHECK(&kernels::device_named("auto", 0, [&](const std::string& text) { why = text; }) == gpu);
  CHECK(why.empty() == (gpu != &kernels::cpu_device()));
  CHECK(&kernels::device_named("auto") == gpu);
  if (!why.empty()) {
    CHECK(contains(why, "cuda:0"));
    kernels::device_named("auto", 3, [&](const std::string& text) { why = text; });
    CHECK(contains(why, "cuda:3"));
  }
  for (const std::string name : {"", "gpu", "AUTO", "cuda:"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(kernels::device_named(name), std::invalid_argument);
  }
}

TEST_CASE("cuda: a build without CUDA, a machine without a GPU: one line that says so") {
  const std::string error = error_of("cuda:0");
  if (!built()) {
    CHECK(error == "cuda:0: this build has no CUDA (meson -Dcuda=enabled needs nvcc)");
  } else if (!error.empty()) {
    MESSAGE("SKIPPED: no GPU: " << error);
    CHECK(contains(error, "cuda:0"));
    CHECK_FALSE(contains(error, "\n"));
    CHECK_THROWS_AS(open_device("cuda:0"), std::runtime_error);
  } else {
    CHECK_THROWS_AS(open_device("cuda:1"), std::runtime_error);
    kernels::Device& device = open_device("cuda");
    CHECK(&device == &open_device("cuda:0"));
    const std::vector<float> values = {1, 2, 3};
    std::vector<float> back(3);
    void* const memory = device.allocate(12);
    REQUIRE(memory);
    device.copy_in(memory, values.data(), 12);
    device.copy_out(back.data(), memory, 12);
    CHECK(back == values);
    device.release(memory);
    CHECK(device.allocate(std::size_t{1} << 50) == nullptr);
  }
}

}  // namespace maskwatch::cuda
