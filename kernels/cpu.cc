// Fills one table for each vector target from the functions that the families (gemm.cc, conv.cc,
// ...) compile for it.
#include <cstdlib>
#include <map>
#include <stdexcept>

#include "kernels/checks.h"
#include "kernels/quantized.h"
#include "kernels/table.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {

using T = float;
#define OP(name, parameters) void name parameters;
#include "kernels/ops.def"
#undef OP

const Table<float>* target_table() {
  static const Table<float> table = {
#define OP(name, parameters) .name = checked<&checks::name<T>, &name>(),
#include "kernels/ops.def"
#undef OP
  };
  return &table;
}

}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskwatch::kernels {
HWY_EXPORT(target_table);

namespace {

struct Target {
  std::string name;
  std::int64_t bit;
  const Table<float>* table;
};

// Best first: a lower bit is a better target.
std::vector<Target> find_targets() {
  std::vector<Target> found;
  for (std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const std::int64_t bit = rest & -rest;
    hwy::ChosenTarget chosen;
    chosen.Update(bit);
    found.push_back(
        {hwy::TargetName(bit), bit, HWY_DISPATCH_TABLE(target_table)[chosen.GetIndex()]()});
  }
  return found;
}

const std::vector<Target>& all_targets() {
  static const std::vector<Target> targets = find_targets();
  return targets;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

const Target& default_target() {
  static const Target& target = []() -> const Target& {
    const char* forced = std::getenv("MASKWATCH_TARGET");
    if (!forced || !*forced) return all_targets().front();
    const std::string wanted = float_target_of(forced);
    for (const Target& candidate : all_targets())
      if (candidate.name == wanted) {
        // What else is dispatched by Highway (pictures, cascades) follows.
        hwy::SetSupportedTargetsForTest(candidate.bit);
        hwy::GetChosenTarget().Update(candidate.bit);
        return candidate;
      }
    throw std::runtime_error("MASKWATCH_TARGET=" + std::string(forced) + ": this machine offers " +
                             listed(target_choices()));
  }();
  return target;
}

}  // namespace

const Table<float>& cpu() {
  static const Table<float>& table = *default_target().table;
  return table;
}

const Table<float>& cpu(const std::string& target) {
  for (const Target& candidate : all_targets())
    if (candidate.name == target) return *candidate.table;
  throw std::invalid_argument("kernels::cpu: no target " + target + "; this machine offers " +
                              listed(targets()));
}

std::vector<std::string> targets() {
  std::vector<std::string> names;
  for (const Target& target : all_targets()) names.push_back(target.name);
  return names;
}

const std::string& target_name() { return default_target().name; }

}  // namespace maskwatch::kernels
#endif  // HWY_ONCE
