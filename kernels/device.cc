#include "kernels/device.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/quantized.h"

namespace maskwatch::kernels {
namespace {

constexpr std::size_t kAlignment = 256;
// Blocks of this size on are aligned to it and asked of the system in pages of this size: a pass
// over a batch's activations then finds its addresses in the TLB.
constexpr std::size_t kLargePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

class HostDevice : public Device {
 public:
  HostDevice(std::string name, const Table<float>& table, const QuantizedTable* quantized)
      : name_(std::move(name)), table_(&table), quantized_(quantized) {}

  const std::string& name() const override { return name_; }
  const Table<float>& table() const override { return *table_; }
  const QuantizedTable* quantized_table() const override { return quantized_; }
  bool on_host() const override { return true; }

  void* allocate(std::size_t bytes) override {
    const std::size_t alignment = bytes >= kLargePage ? kLargePage : kAlignment;
    bytes = round_up(std::max<std::size_t>(bytes, 1), alignment);
    void* block = std::aligned_alloc(alignment, bytes);
#ifdef MADV_HUGEPAGE
    if (block && alignment == kLargePage) madvise(block, bytes, MADV_HUGEPAGE);  // a wish: may fail
#endif
    return block;
  }
  void release(void* memory) override { std::free(memory); }

  void copy_in(void* to, const void* host, std::size_t bytes) override { copy(to, host, bytes); }
  void copy_out(void* host, const void* from, std::size_t bytes) override {
    copy(host, from, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  void fill_zero(void* to, std::size_t bytes) override {
    if (bytes > 0) std::memset(to, 0, bytes);
  }
  void synchronize() override {}

  std::shared_ptr<void> staging(std::size_t bytes) override {
    void* memory = allocate(bytes);
    if (!memory) throw std::bad_alloc();
    return {memory, std::free};
  }
  std::unique_ptr<Recorded> record(const std::function<void()>&) override { return nullptr; }

 private:
  std::string name_;
  const Table<float>* table_;
  const QuantizedTable* quantized_;
};

}  // namespace

Device& cpu_device() {
  static Device* device = new HostDevice("cpu", cpu(), &quantized_cpu());
  return *device;
}

std::unique_ptr<Device> host_device(std::string name, const Table<float>& table,
                                    const QuantizedTable* quantized) {
  return std::make_unique<HostDevice>(std::move(name), table, quantized);
}

}  // namespace maskwatch::kernels
