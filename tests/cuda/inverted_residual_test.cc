// The inverted residual block on GPUs of less shared memory than an H100 has: other tiles, or the
// block layer by layer, and the same results.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cuda/host/simt_device.h"
#include "cuda/simt.h"
#include "tests/kernels/expectation.h"

namespace maskwatch::kernel_cases {
namespace {

// One case on the executor. Empty if every output is right.
std::string fault(const Case& c, const Expectation& e) {
  kernels::Device& device = simt::device();
  std::vector<float*> memory;
  for (const auto& array : e.initial) {
    memory.push_back(static_cast<float*>(device.allocate(array.size() * sizeof(float))));
    device.copy_in(memory.back(), array.data(), array.size() * sizeof(float));
  }
  c.run_float(device.table(), memory.data());
  std::string found;
  for (std::size_t i = 0; i < memory.size(); ++i) {
    std::vector<float> values(e.initial[i].size());
    device.copy_out(values.data(), memory[i], values.size() * sizeof(float));
    device.release(memory[i]);
    if (found.empty()) found = difference(c, e, i, values, false);
  }
  return found;
}

}  // namespace

TEST_CASE("inverted_residual: any size of shared memory gives the same results") {
  constexpr double terms_of_tf32 = 4;
  for (const Case& c : cases_inverted_residual()) {
    if (c.is_benchmark) continue;
    INFO("case " << c.label);
    const Expectation e = expectation(c, terms_of_tf32);
    // sm_86 and sm_89; then less than any GPU has, where small tiles fit, or none.
    for (const std::size_t kilobytes : {99, 40, 28, 1}) {
      INFO("shared memory, KiB: " << kilobytes);
      simt::set_most_shared_bytes(kilobytes << 10);
      CHECK(fault(c, e) == "");
    }
    simt::set_most_shared_bytes(simt::kMostSharedBytes);
  }
}

}  // namespace maskwatch::kernel_cases
