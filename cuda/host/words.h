// CUDA's words for kernels that the executor runs (cuda/host/executor.h), and the helpers of
// cuda/simt.h. What the hardware would answer with rubbish, or never, is a KernelError here.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "cuda/host/executor.h"
#include "cuda/host/warp.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
// One block at a time runs on a thread of the host, with all its fibers.
#define __shared__ static thread_local

namespace maskwatch::simt {

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0; }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float fmaf(float a, float b, float c) { return std::fma(a, b, c); }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
template <typename T>
T __ldg(const T* address) {
  return *address;
}
template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

// --- Barriers and the exchanges of a warp ---

inline void __syncthreads(Where where = {__builtin_FILE(), __builtin_LINE()}) {
  wait_for_block(where);
}

inline void __syncwarp(unsigned mask = 0xffffffffu,
                       Where where = {__builtin_FILE(), __builtin_LINE()}) {
  exchange(mask, {.combine = nullptr, .payload = nullptr}, where);
}

template <typename T>
T shuffle(unsigned mask, T value, int source, Where where) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  Shuffle shuffle = {.value = 0, .result = 0, .source = source};
  std::memcpy(&shuffle.value, &value, sizeof(T));
  exchange(mask, {.combine = &combine_shuffles, .payload = &shuffle}, where);
  std::memcpy(&value, &shuffle.result, sizeof(T));
  return value;
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              Where where = {__builtin_FILE(), __builtin_LINE()}) {
  return shuffle(mask, value, (lane() & ~(width - 1)) + (source & (width - 1)), where);
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 Where where = {__builtin_FILE(), __builtin_LINE()}) {
  const int first = lane() & ~(width - 1), from = lane() - static_cast<int>(delta);
  return shuffle(mask, value, from < first ? lane() : from, where);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   Where where = {__builtin_FILE(), __builtin_LINE()}) {
  const int last = lane() | (width - 1), from = lane() + static_cast<int>(delta);
  return shuffle(mask, value, from > last ? lane() : from, where);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  Where where = {__builtin_FILE(), __builtin_LINE()}) {
  const int last = lane() | (width - 1), from = lane() ^ bits;
  return shuffle(mask, value, from > last ? lane() : from, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              Where where = {__builtin_FILE(), __builtin_LINE()}) {
  Ballot ballot = {.predicate = predicate != 0, .result = 0};
  exchange(mask, {.combine = &combine_ballots, .payload = &ballot}, where);
  return ballot.result;
}

inline int __any_sync(unsigned mask, int predicate,
                      Where where = {__builtin_FILE(), __builtin_LINE()}) {
  return __ballot_sync(mask, predicate, where) != 0;
}

inline int __all_sync(unsigned mask, int predicate,
                      Where where = {__builtin_FILE(), __builtin_LINE()}) {
  return __ballot_sync(mask, !predicate, where) == 0;
}

// --- cuda/simt.h ---

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            const Arguments&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<std::decay_t<Parameters>...> arguments;
  };
  const Call call = {kernel, {static_cast<Parameters>(arguments)...}};
  static_assert((std::is_trivially_copyable_v<std::decay_t<Parameters>> && ...));
  run_grid(
      grid, block, shared_bytes,
      [](const void* c) {
        const Call& one = *static_cast<const Call*>(c);
        std::apply(one.kernel, one.arguments);
      },
      &call, sizeof(call));
}

template <typename T>
T* shared_memory() {
  return reinterpret_cast<T*>(block_memory());
}

// Nothing arrives before copy_async_wait.
inline void copy_async16(void* shared, const void* global, int bytes = 16,
                         Where where = {__builtin_FILE(), __builtin_LINE()}) {
  queue_copy({shared, global, 16, bytes}, where);
}
inline void copy_async4(void* shared, const void* global, int bytes = 4,
                        Where where = {__builtin_FILE(), __builtin_LINE()}) {
  queue_copy({shared, global, 4, bytes}, where);
}
inline void copy_async_commit() { end_copy_group(); }
template <int pending>
void copy_async_wait() {
  finish_copies(pending);
}

inline std::uint32_t to_tf32(float x) {
  return (std::bit_cast<std::uint32_t>(x) + 0x1000u) & 0xffffe000u;
}

inline void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                             const std::uint32_t (&b)[2],
                             Where where = {__builtin_FILE(), __builtin_LINE()}) {
  Fragments fragments = {d, a, b};
  exchange(0xffffffffu, {.combine = &multiply_fragments, .payload = &fragments}, where);
}

}  // namespace maskwatch::simt
