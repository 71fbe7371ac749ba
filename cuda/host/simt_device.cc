#include "cuda/host/simt_device.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "cuda/host/device_memory.h"
#include "cuda/host/stream.h"
#include "cuda/table.h"
#include "cuda/workspaces.h"

namespace maskwatch::simt {
namespace {

// --- The table: every pointer is looked at before the kernel runs ---

template <typename Argument>
void check_argument(const char*, const Argument&) {}

template <typename Number>
void check_pointer(const char* operation, const Number* pointer) {
  if (pointer && !device_memory().holds(pointer))
    throw KernelError(std::string(operation) + ": a pointer that is not memory of the device");
}

void check_argument(const char* operation, float* const& p) { check_pointer(operation, p); }
void check_argument(const char* operation, const float* const& p) { check_pointer(operation, p); }

void check_argument(const char* operation, const BatchNorm<float>& layer) {
  for (const float* p : {layer.mean, layer.variance, layer.gamma, layer.beta})
    check_pointer(operation, p);
}
void check_argument(const char* operation, const BatchNorm<float>* const& layer) {
  if (layer) check_argument(operation, *layer);
}
void check_argument(const char* operation, const BatchNormGradient<float>& gradient) {
  for (const float* p : {gradient.dy, gradient.z, gradient.dgamma, gradient.dbeta})
    check_pointer(operation, p);
  check_argument(operation, gradient.layer);
}

template <typename Row, typename Entry>
struct Guarded;

template <typename Row, typename... Arguments>
struct Guarded<Row, void (*)(Arguments...)> {
  static void run(Arguments... arguments) {
    (check_argument(Row::name(), arguments), ...);
    Row::entry(table())(arguments...);
  }
};

namespace rows {
#define OP(operation, parameters)                                             \
  struct operation {                                                          \
    static const char* name() { return #operation; }                          \
    static auto entry(const kernels::Table<float>& t) { return t.operation; } \
  };
#include "kernels/ops.def"
#undef OP
}  // namespace rows

const kernels::Table<float>& guarded_table() {
  static const kernels::Table<float> guarded = {
#define OP(name, parameters) \
  .name = table().name ? &Guarded<rows::name, decltype(kernels::Table<float>::name)>::run : nullptr,
#include "kernels/ops.def"
#undef OP
  };
  return guarded;
}

// --- The device ---

class RecordedCalls : public kernels::Recorded {
 public:
  explicit RecordedCalls(Calls calls) : calls_(std::move(calls)) {}
  void run() override {
    for (const auto& call : calls_) enqueue(call);
  }

 private:
  Calls calls_;
};

class SimtDevice : public kernels::Device {
 public:
  const std::string& name() const override { return name_; }
  const kernels::Table<float>& table() const override { return guarded_table(); }
  bool on_host() const override { return false; }

  void* allocate(std::size_t bytes) override { return device_memory().allocate(bytes); }
  void release(void* memory) override { device_memory().release(memory); }

  void copy_in(void* to, const void* host, std::size_t bytes) override {
    inside(to, bytes, "copy_in");
    if (bytes > 0) enqueue([=] { std::memcpy(to, host, bytes); });
  }
  void copy_out(void* host, const void* from, std::size_t bytes) override {
    inside(from, bytes, "copy_out");
    if (is_recording()) throw KernelError("simt: copy_out would wait within a recording");
    if (bytes > 0) enqueue([=] { std::memcpy(host, from, bytes); });
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    inside(to, bytes, "copy");
    inside(from, bytes, "copy");
    if (bytes > 0) enqueue([=] { std::memcpy(to, from, bytes); });
  }
  void fill_zero(void* to, std::size_t bytes) override {
    inside(to, bytes, "fill_zero");
    if (bytes > 0) enqueue([=] { std::memset(to, 0, bytes); });
  }
  void synchronize() override {
    if (is_recording()) throw KernelError("simt: synchronize within a recording");
  }

  std::shared_ptr<void> staging(std::size_t bytes) override {
    constexpr std::size_t alignment = 256;
    void* memory = std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
    if (!memory) throw std::bad_alloc();
    return {memory, std::free};
  }
  std::unique_ptr<kernels::Recorded> record(const std::function<void()>& work) override {
    return std::make_unique<RecordedCalls>(simt::record(work));
  }

 private:
  static void inside(const void* memory, std::size_t bytes, const char* call) {
    if (bytes > 0 && !device_memory().holds(memory, bytes))
      throw KernelError("simt: " + std::string(call) + " of " + std::to_string(bytes) +
                        " bytes that are not all memory of the device");
  }

  const std::string name_ = "simt";
};

bool tf32_allowed() {
  const char* wanted = std::getenv("MASKWATCH_TF32");
  return !wanted || std::string(wanted) != "0";
}

bool& tf32() {
  static bool allowed = tf32_allowed();
  return allowed;
}

std::size_t& shared_bytes() {
  static std::size_t bytes = kMostSharedBytes;
  return bytes;
}

}  // namespace

kernels::Device& device() {
  static auto* device = new SimtDevice;
  return *device;
}

bool has_tf32() { return tf32(); }
void set_tf32(bool allowed) { tf32() = allowed; }
std::size_t most_shared_bytes() { return shared_bytes(); }
void set_most_shared_bytes(std::size_t bytes) { shared_bytes() = bytes; }
int multiprocessors() { return 4; }

float* workspace(Workspace area, std::int64_t floats) {
  static Workspaces workspaces(device());
  return workspaces.at(area, floats);
}

}  // namespace maskwatch::simt
