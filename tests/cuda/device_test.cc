// What every device that is not the CPU must do beside its operations: memory, copies, the order of
// calls, recordings.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "tests/cuda/devices.h"

namespace maskwatch {
namespace {

using kernels::Device;

class Numbers {
 public:
  Numbers(Device& device, const std::vector<float>& values)
      : device_(device), size_(values.size()) {
    memory_ = static_cast<float*>(device.allocate(bytes()));
    REQUIRE(memory_);
    set(values);
  }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  ~Numbers() { device_.release(memory_); }

  float* data() const { return memory_; }
  std::size_t bytes() const { return size_ * sizeof(float); }
  void set(const std::vector<float>& values) const {
    device_.copy_in(memory_, values.data(), bytes());
  }
  std::vector<float> values() const {
    std::vector<float> values(size_);
    device_.copy_out(values.data(), memory_, bytes());
    return values;
  }

 private:
  Device& device_;
  std::size_t size_;
  float* memory_;
};

template <typename Check>
void on_each_device(const Check& check) {
  const std::vector<Device*> all = tested_devices();
  if (all.empty()) MESSAGE("SKIPPED: neither a GPU nor the executor");
  for (Device* device : all) {
    INFO("device " << device->name());
    check(*device);
  }
}

}  // namespace

TEST_CASE("devices: copies in both directions, within the device, and of nothing") {
  on_each_device([](Device& device) {
    CHECK_FALSE(device.on_host());
    const Numbers a(device, {1, 2, 3}), b(device, {0, 0, 0});
    CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % 256 == 0);
    device.copy(b.data(), a.data(), 2 * sizeof(float));
    CHECK(b.values() == std::vector<float>{1, 2, 0});
    device.fill_zero(a.data(), 2 * sizeof(float));
    CHECK(a.values() == std::vector<float>{0, 0, 3});
    device.copy(b.data(), a.data(), 0);
    device.copy_in(b.data(), nullptr, 0);
    device.copy_out(nullptr, b.data(), 0);
    device.fill_zero(b.data(), 0);
    device.release(nullptr);
    CHECK(b.values() == std::vector<float>{1, 2, 0});
  });
}

TEST_CASE("devices: staged memory is copied as it was when the copy was queued and waited for") {
  on_each_device([](Device& device) {
    const std::size_t count = 100'000;
    const std::shared_ptr<void> staged = device.staging(count * sizeof(float));
    auto* const values = static_cast<float*>(staged.get());
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i);
    const Numbers a(device, std::vector<float>(count));
    device.copy_in(a.data(), values, a.bytes());
    device.synchronize();
    std::memset(values, 0, a.bytes());
    const std::vector<float> copied = a.values();
    CHECK(copied[1] == 1);
    CHECK(copied[count - 1] == static_cast<float>(count - 1));
  });
}

TEST_CASE("devices: calls run in the order in which they are queued") {
  on_each_device([](Device& device) {
    const Numbers a(device, std::vector<float>(10'000, 1.0f));
    const Numbers b(device, std::vector<float>(10'000));
    for (int i = 0; i < 20; ++i) {
      device.table().add(a.data(), a.data(), a.data(), 10'000);  // 2^20 at last
      if (i == 9) device.copy(b.data(), a.data(), a.bytes());
    }
    CHECK(a.values() == std::vector<float>(10'000, 0x1p20f));
    CHECK(b.values() == std::vector<float>(10'000, 0x1p10f));
  });
}

TEST_CASE("devices: more memory than there is gives null, and harms nothing") {
  on_each_device([](Device& device) {
    CHECK(device.allocate(std::size_t{1} << 50) == nullptr);
    const Numbers a(device, {-1, 2});
    device.table().relu(a.data(), a.data(), 2);
    CHECK(a.values() == std::vector<float>{0, 2});
  });
}

TEST_CASE("devices: a recording runs when it is asked to, as often as it is asked to") {
  on_each_device([](Device& device) {
    const kernels::RowShape shape = {300, 40};
    const Numbers x(device, std::vector<float>(300 * 40, 1.0f)),
        sums(device, std::vector<float>(40));
    const Numbers kept(device, std::vector<float>(40));
    const auto recorded = device.record([&] {
      device.table().relu(x.data(), x.data(), 300 * 40);
      // Takes memory of the device's own.
      device.table().add_bias_backward(sums.data(), x.data(), shape);
      device.copy(kept.data(), sums.data(), sums.bytes());
    });
    if (!recorded) return;
    CHECK(kept.values()[0] == 0);
    recorded->run();
    CHECK(kept.values() == std::vector<float>(40, 300.0f));
    x.set(std::vector<float>(300 * 40, 2.0f));
    recorded->run();
    recorded->run();
    CHECK(kept.values() == std::vector<float>(40, 600.0f));
    x.set(std::vector<float>(300 * 40, -2.0f));
    recorded->run();
    CHECK(kept.values() == std::vector<float>(40, 0.0f));
  });
}

TEST_CASE("devices: a recording that fails leaves the device as it was") {
  on_each_device([](Device& device) {
    const Numbers a(device, {-1, 2});
    CHECK_THROWS_AS(device.record([&] {
      device.table().relu(a.data(), a.data(), 2);
      throw std::runtime_error("no");
    }),
                    std::runtime_error);
    CHECK(a.values() == std::vector<float>{-1, 2});
    device.table().relu(a.data(), a.data(), 2);
    CHECK(a.values() == std::vector<float>{0, 2});
  });
}

}  // namespace maskwatch
