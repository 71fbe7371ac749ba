// What Highway declares and Debian compiles for other machines than a browser. There is one vector
// target, that of the compiler's flags, so nothing is chosen at run time.
#include <hwy/aligned_allocator.h>
#include <hwy/highway.h>

#include <cstdlib>

namespace hwy {

void* AllocateAlignedBytes(size_t size, AllocPtr, void*) {
  void* memory = nullptr;
  return posix_memalign(&memory, HWY_ALIGNMENT, size) == 0 ? memory : nullptr;
}

void FreeAlignedBytes(const void* memory, FreePtr, void*) { std::free(const_cast<void*>(memory)); }

int64_t SupportedTargets() { return HWY_STATIC_TARGET; }

void SetSupportedTargetsForTest(int64_t) {}

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
