#include "cuda/host/stream.h"

#include <utility>

#include "cuda/host/device_memory.h"

namespace maskwatch::simt {
namespace {

Calls* recording = nullptr;

}  // namespace

void enqueue(std::function<void()> call) {
  if (recording) {
    recording->push_back(std::move(call));
    return;
  }
  const DeviceMemory::Open open(device_memory());
  call();
}

Calls record(const std::function<void()>& work) {
  struct Recording {
    explicit Recording(Calls* calls) { recording = calls; }
    ~Recording() { recording = nullptr; }
  };
  Calls calls;
  const Recording guard(&calls);
  work();
  return calls;
}

bool is_recording() { return recording != nullptr; }

}  // namespace maskwatch::simt
