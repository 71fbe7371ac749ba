// Every row of kernels/ops.def on every device that is not the CPU: on the executor in its three
// schedules, and on a GPU where there is one. The cases are those of tests/kernels.
//
// Products by 3xTF32 are allowed four roundings more than the sum of a case has: an operand's two
// parts leave 2^-22 of it out, and so does the product of the two smaller parts, which is 6 eps
// Σ|a||b| with eps = 2^-23. Each of the three sums cuts five terms 24 bits below the largest of
// them and rounds toward 0, once for four products: 3 · k/4 · 3.5 eps Σ|a||b|. Together that is
// less than the 4 (k + 4) eps Σ|a||b| of check::rounding_bound.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/device.h"
#include "tests/cuda/devices.h"
#include "tests/kernels/expectation.h"

#if MASKWATCH_SIMT
#include "cuda/host/executor.h"
#include "cuda/simt.h"
#endif

namespace maskwatch::kernel_cases {
namespace {

// An operand in the device's memory, with bytes of a pattern before and behind it.
class GuardedOnDevice {
 public:
  // `shift` numbers past an address that is aligned to 256 bytes.
  GuardedOnDevice(kernels::Device& device, std::span<const float> values, std::size_t shift)
      : device_(device), begin_(kFence + shift), bytes_(values.size() + 2 * kFence + shift, kFill) {
    std::copy(values.begin(), values.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    memory_ = static_cast<float*>(device.allocate(bytes_.size() * sizeof(float)));
    REQUIRE(memory_);
    device.copy_in(memory_, bytes_.data(), bytes_.size() * sizeof(float));
    size_ = values.size();
  }
  GuardedOnDevice(const GuardedOnDevice&) = delete;
  GuardedOnDevice& operator=(const GuardedOnDevice&) = delete;
  ~GuardedOnDevice() { device_.release(memory_); }

  float* data() const { return memory_ + begin_; }

  void fetch() { device_.copy_out(bytes_.data(), memory_, bytes_.size() * sizeof(float)); }
  std::span<const float> values() const { return std::span(bytes_).subspan(begin_, size_); }
  bool intact() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      if ((i < begin_ || i >= begin_ + size_) && bytes_[i] != kFill) return false;
    return true;
  }

 private:
  static constexpr std::size_t kFence = 64;
  static constexpr float kFill = -3.0625e7f;

  kernels::Device& device_;
  std::size_t begin_, size_ = 0;
  std::vector<float> bytes_;
  float* memory_ = nullptr;
};

// What a case leaves in its operands; checked as far as guards go.
Values<float> run_on(kernels::Device& device, const Case& c, const Values<float>& initial,
                     std::size_t shift, bool aliased) {
  std::vector<std::unique_ptr<GuardedOnDevice>> operands;
  std::vector<float*> addresses;
  for (const auto& array : initial) {
    operands.push_back(std::make_unique<GuardedOnDevice>(device, array, shift));
    addresses.push_back(operands.back()->data());
  }
  std::vector<std::size_t> lies_in(operands.size());
  for (std::size_t i = 0; i < operands.size(); ++i) lies_in[i] = i;
  if (aliased) {
    lies_in[c.alias->first] = c.alias->second;
    addresses[c.alias->first] = addresses[c.alias->second];
  }
  c.run_float(device.table(), addresses.data());
  Values<float> values;
  for (const auto& operand : operands) {
    operand->fetch();
    CHECK_MESSAGE(operand->intact(), "wrote outside its operands");
  }
  for (const std::size_t i : lies_in) {
    const std::span<const float> from = operands[i]->values();
    values.emplace_back(from.begin(), from.end());
  }
  return values;
}

void check_values(const Case& c, const Expectation& e, const Values<float>& values, bool aliased) {
  for (std::size_t i = 0; i < c.operands.size(); ++i) {
    INFO("operand " << i);
    CHECK(difference(c, e, i, values[i], aliased) == "");
  }
}

void check_same(const Case& c, const Values<float>& a, const Values<float>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (is_compared(c.operands[i])) CHECK_MESSAGE(same_bytes(a[i], b[i]), "operand " << i);
}

// Operations whose kernels have a version for tensor cores.
bool multiplies(const std::string& name) {
  for (const char* part : {"gemm", "conv2d", "pointwise", "inverted"})
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// A third of the operations, by a hash of the name (FNV-1a), so that the choice stays.
bool in_all_orders(const std::string& name) {
  std::uint32_t hash = 2166136261u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
  return hash % 3 == 0;
}

// The same operation once more, in other circumstances that must not matter to a bit.
void check_repeats(const std::string& name, kernels::Device& device, const Case& c,
                   const Values<float>& initial, const Values<float>& first) {
  {
    INFO("again");
    check_same(c, first, run_on(device, c, initial, 0, false));
  }
#if MASKWATCH_SIMT
  if (device.name() != "simt" || !in_all_orders(name)) return;
  const simt::Order before = simt::order();
  for (const simt::Order order : {simt::Order::backward, simt::Order::shuffled}) {
    INFO("order " << static_cast<int>(order));
    simt::set_order(order);
    check_same(c, first, run_on(device, c, initial, 0, false));
  }
  simt::set_order(before);
#endif
}

void check_case(const std::string& name, kernels::Device& device, const Case& c,
                const Expectation& e) {
  const Values<float> first = run_on(device, c, e.initial, 0, false);
  check_values(c, e, first, false);
  check_repeats(name, device, c, e.initial, first);
  for (const bool aliased : {false, true}) {
    if (aliased && !c.alias) continue;
    for (const std::size_t shift : {std::size_t{0}, std::size_t{1}}) {
      if (!aliased && shift == 0) continue;  // done
      INFO("aliased " << aliased << ", shifted " << shift);
      check_values(c, e, run_on(device, c, e.initial, shift, aliased), aliased);
    }
  }
}

void set_tf32(bool allowed) {
#if MASKWATCH_SIMT
  simt::set_tf32(allowed);
#endif
  static_cast<void>(allowed);
}

void check_devices(const std::string& name, const std::vector<Case>& cases) {
  const std::vector<kernels::Device*> all = tested_devices();
  if (all.empty()) MESSAGE("SKIPPED: neither a GPU nor the executor");
  for (const Case& c : cases) {
    if (c.is_benchmark) continue;
    INFO("case " << c.label);
    constexpr double terms_of_tf32 = 4;
    const Expectation plain = expectation(c);
    const Expectation in_parts = multiplies(name) ? expectation(c, terms_of_tf32) : plain;
    for (kernels::Device* device : all) {
      INFO("device " << device->name());
      check_case(name, *device, c, in_parts);
      if (device->name() != "simt" || !multiplies(name)) continue;
      INFO("without tensor cores");
      set_tf32(false);
      check_case(name, *device, c, plain);
      set_tf32(true);
    }
  }
}

// Its rows have no kernel yet.
bool is_there(const std::string& name, const void* entry) {
  if (!entry) MESSAGE("SKIPPED: " << name << " has no kernel yet");
  return entry != nullptr;
}

}  // namespace

#define OP(name, parameters)                                                             \
  TEST_CASE(#name ": every device agrees with the reference in double") {                \
    for (kernels::Device * device : tested_devices())                                    \
      if (!is_there(#name, reinterpret_cast<const void*>(device->table().name))) return; \
    check_devices(#name, cases_##name());                                                \
  }
#include "kernels/ops.def"
#undef OP

}  // namespace maskwatch::kernel_cases
