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

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#ifndef KERNELS_QUANTIZED_PRODUCTS_
#define KERNELS_QUANTIZED_PRODUCTS_
namespace maskwatch::kernels {
// How a table multiplies: pairs of 16-bit integers, fours of bytes, or these and bytes put in any
// order.
enum class Products { words, bytes, permuted_bytes };
}  // namespace maskwatch::kernels
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quantized.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE::in_words {
#define KERNELS_BYTES 0
#define KERNELS_VBMI 0
#define KERNELS_ATTR HWY_ATTR
#include "kernels/quantized-inl.h"
#undef KERNELS_BYTES
#undef KERNELS_VBMI
#undef KERNELS_ATTR
}  // namespace maskwatch::kernels::HWY_NAMESPACE::in_words
HWY_AFTER_NAMESPACE();

// With dot products of bytes. Highway's own targets with these instructions also have some that
// machines with them may lack.
#undef KERNELS_HAS_BYTES
#undef KERNELS_BYTES_ATTRIBUTES
#if HWY_TARGET == HWY_AVX3
#define KERNELS_BYTES_ATTRIBUTES HWY_TARGET_STR ",avx512vnni"
#elif HWY_TARGET == HWY_AVX2
#define KERNELS_BYTES_ATTRIBUTES HWY_TARGET_STR ",avxvnni"
#elif HWY_ARCH_ARM_A64 && defined(HWY_TARGET_STR)
#define KERNELS_BYTES_ATTRIBUTES "arch=armv8.2-a" HWY_TARGET_STR "+dotprod"
#endif
#ifdef KERNELS_BYTES_ATTRIBUTES
#define KERNELS_HAS_BYTES 1
HWY_PUSH_ATTRIBUTES(KERNELS_BYTES_ATTRIBUTES)
namespace maskwatch::kernels::HWY_NAMESPACE::in_bytes {
#define KERNELS_BYTES 1
#define KERNELS_VBMI 0
#define KERNELS_ATTR __attribute__((target(KERNELS_BYTES_ATTRIBUTES)))
#include "kernels/quantized-inl.h"
#undef KERNELS_BYTES
#undef KERNELS_VBMI
#undef KERNELS_ATTR
}  // namespace maskwatch::kernels::HWY_NAMESPACE::in_bytes
HWY_POP_ATTRIBUTES
#else
#define KERNELS_HAS_BYTES 0
#endif

// And with permutations of bytes.
#undef KERNELS_HAS_VBMI
#undef KERNELS_VBMI_ATTRIBUTES
#if HWY_TARGET == HWY_AVX3
#define KERNELS_HAS_VBMI 1
#define KERNELS_VBMI_ATTRIBUTES HWY_TARGET_STR ",avx512vnni,avx512vbmi"
HWY_PUSH_ATTRIBUTES(KERNELS_VBMI_ATTRIBUTES)
namespace maskwatch::kernels::HWY_NAMESPACE::in_permuted_bytes {
#define KERNELS_BYTES 1
#define KERNELS_VBMI 1
#define KERNELS_ATTR __attribute__((target(KERNELS_VBMI_ATTRIBUTES)))
#include "kernels/quantized-inl.h"
#undef KERNELS_BYTES
#undef KERNELS_VBMI
#undef KERNELS_ATTR
}  // namespace maskwatch::kernels::HWY_NAMESPACE::in_permuted_bytes
HWY_POP_ATTRIBUTES
#else
#define KERNELS_HAS_VBMI 0
#endif

HWY_BEFORE_NAMESPACE();
namespace maskwatch::kernels::HWY_NAMESPACE {
// Null where the target has none.
const QuantizedTable* quantized_target_table(Products products) {
#if KERNELS_HAS_BYTES
  if (products == Products::bytes) return &in_bytes::table();
#endif
#if KERNELS_HAS_VBMI
  if (products == Products::permuted_bytes) return &in_permuted_bytes::table();
#endif
  return products == Products::words ? &in_words::table() : nullptr;
}
}  // namespace maskwatch::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace maskwatch::kernels {
HWY_EXPORT(quantized_target_table);

namespace {

// Whether this machine runs the table of a target that multiplies so.
bool runs([[maybe_unused]] std::int64_t target, Products products) {
  if (products == Products::words) return true;
#if HWY_ARCH_X86
  if (target != HWY_AVX2)
    return __builtin_cpu_supports("avx512vnni") &&
           (products == Products::bytes || __builtin_cpu_supports("avx512vbmi"));
#ifdef KERNELS_AVX_VNNI_AS_AVX512
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
#else
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kAvxVnni = 1u << 4;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & kAvxVnni) != 0;
#endif
#elif HWY_ARCH_ARM_A64
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return false;
#endif
}

constexpr std::pair<Products, const char*> kProducts[] = {
    {Products::permuted_bytes, "_VNNI"}, {Products::bytes, "_DOT"}, {Products::words, ""}};

struct Target {
  std::string name, float_name;
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
    for (const auto& [products, suffix] : kProducts)
      if (const auto* table = runs(bit, products) ? table_of(products) : nullptr)
        found.push_back({name + suffix, name, table});
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
    const std::vector<Target>& all = all_targets();
    const char* forced = std::getenv("MASKWATCH_TARGET");
    if (!forced || !*forced) return all.front();
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const Target& candidate) { return candidate.name == forced; });
    if (found == all.end())
      throw std::runtime_error("MASKWATCH_TARGET=" + std::string(forced) +
                               ": int8 has no such target here");
    return *found;
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

std::vector<std::string> target_choices() {
  std::vector<std::string> names;
  for (const Target& target : find_targets()) names.push_back(target.name);
  return names;
}

std::string float_target_of(const std::string& name) {
  for (const Target& target : find_targets())
    if (target.name == name) return target.float_name;
  return name;
}

const std::string& quantized_target_name() { return default_target().name; }

}  // namespace maskwatch::kernels
#endif  // HWY_ONCE
