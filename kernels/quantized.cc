// Fills one table of int8 operations for each vector target, and chooses the one for this machine.
#include "kernels/quantized.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/parallel.h"
#include "kernels/quantized_checks.h"
#include "kernels/scratch.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantized.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE::in_words {
#define KERNELS_VNNI 0
#include "kernels/quantized-inl.h"
#undef KERNELS_VNNI
}  // namespace maskwatch::kernels::HWY_NAMESPACE::in_words
HWY_AFTER_NAMESPACE();

// Highway's own target with these instructions also has some that machines with them may lack.
#undef KERNELS_HAS_VNNI
#if HWY_TARGET == HWY_AVX3
#define KERNELS_HAS_VNNI 1
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512vnni,avx512vbmi")
namespace maskwatch::kernels::HWY_NAMESPACE::in_bytes {
#define KERNELS_VNNI 1
#include "kernels/quantized-inl.h"
#undef KERNELS_VNNI
}  // namespace maskwatch::kernels::HWY_NAMESPACE::in_bytes
HWY_POP_ATTRIBUTES
#else
#define KERNELS_HAS_VNNI 0
#endif

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
// `bytes`: the table for machines that multiply bytes, null where the target has none.
const QuantizedTable* quantized_target_table(bool bytes) {
#if KERNELS_HAS_VNNI
  if (bytes) return &in_bytes::table();
#endif
  return bytes ? nullptr : &in_words::table();
}
}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskwatch::kernels {
HWY_EXPORT(quantized_target_table);

namespace {

bool multiplies_bytes() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
#else
  return false;
#endif
}

struct Target {
  std::string name;
  const QuantizedTable* table;
};

// Best first: a lower bit is a better target.
std::vector<Target> find_targets() {
  std::vector<Target> found;
  for (std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const std::int64_t bit = rest & -rest;
    hwy::ChosenTarget chosen;
    chosen.Update(bit);
    const auto table_of = HWY_DISPATCH_TABLE(quantized_target_table)[chosen.GetIndex()];
    const std::string name = hwy::TargetName(bit);
    if (const auto* bytes = multiplies_bytes() ? table_of(true) : nullptr)
      found.push_back({name + "_VNNI", bytes});
    found.push_back({name, table_of(false)});
  }
  return found;
}

const std::vector<Target>& all_targets() {
  // After the choice of cpu(), which narrows what Highway dispatches to where one is forced.
  static const std::vector<Target> targets = [] {
    std::vector<Target> found = find_targets();
    target_name();
    return found;
  }();
  return targets;
}

const Target& default_target() {
  static const Target& target = []() -> const Target& {
    const char* forced = std::getenv("MASKWATCH_TARGET");
    const std::vector<Target>& all = all_targets();
    if (!forced || !*forced) return all.front();
    const auto found = std::find_if(all.begin(), all.end(), [](const Target& candidate) {
      return candidate.name == target_name();
    });
    return found == all.end() ? all.back() : *found;
  }();
  return target;
}

}  // namespace

const QuantizedTable& quantized_cpu() { return *default_target().table; }

const QuantizedTable& quantized_cpu(const std::string& target) {
  for (const Target& candidate : all_targets())
    if (candidate.name == target) return *candidate.table;
  throw std::invalid_argument("kernels::quantized_cpu: no target " + target);
}

std::vector<std::string> quantized_targets() {
  std::vector<std::string> names;
  for (const Target& target : all_targets()) names.push_back(target.name);
  return names;
}

const std::string& quantized_target_name() { return default_target().name; }

}  // namespace maskwatch::kernels
#endif  // HWY_ONCE
