// What kernels are written in. The sources cuda/*.cu are compiled twice: by nvcc for a GPU
// (namespace maskwatch::cuda), and as plain C++20 over the executor of cuda/host, which runs them
// on the CPU for tests (namespace maskwatch::simt). CUDA's own words (__global__, __shared__,
// threadIdx, __syncthreads(), __shfl_sync(), float4 ...) mean the same in both; what CUDA spells
// differently, or only in PTX, is declared here.
//
// All calls of one process go to one device and one stream, in their order.
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define MASKWATCH_GPU_NAMESPACE cuda
#else
#include "cuda/host/words.h"
#define MASKWATCH_GPU_NAMESPACE simt
#endif

#include <cstddef>
#include <cstdint>

namespace maskwatch::MASKWATCH_GPU_NAMESPACE {

constexpr unsigned kWarp = 32;
constexpr unsigned kWholeWarp = 0xffffffffu;
// Dynamic shared memory of a block on sm_90; 163 KiB on sm_80, 64 KiB on sm_75.
constexpr std::size_t kMostSharedBytes = std::size_t{227} << 10;

// Memory of the device for partial sums and the like, one area for each use, so that two uses never
// share one within an operation. What an operation leaves there is gone after it.
enum class Workspace {
  column_sums,   // statistics and gradients of batch norms, biases
  split_k,       // parts of products over long sums
  weight_parts,  // parts of the gradients of depthwise weights
  gradient,      // a gradient kept between two kernels of one operation
  layer,         // factors of batch norms, a channel each
  block,         // activations between the layers of a block
  packed,        // weights rearranged within one operation
  loss,          // losses of rows
  count
};

// At least `floats` numbers, aligned to 256 bytes, uninitialised. An area only grows, and the
// memory that it outgrew stays valid, for a recorded graph may still use it. std::runtime_error
// where the device is full.
float* workspace(Workspace area, std::int64_t floats);

// Whether kernels may use mma_m16n8k8_tf32 on the current device: sm_80 and up, and the executor.
bool has_tf32();
// false: FFMA in place of tensor cores, until set_tf32(true). The environment's
// MASKWATCH_TF32=0 says the same from the start.
void set_tf32(bool allowed);
// Dynamic shared memory that a block may have on the current device; on the executor as on sm_90.
std::size_t most_shared_bytes();
// Multiprocessors of the current device; 4 on the executor. Never decides how a sum is cut.
int multiprocessors();

#ifdef __CUDACC__

cudaStream_t current_stream();
// std::runtime_error with the kernel's name unless `error` is cudaSuccess.
void check_launch(cudaError_t error, const void* kernel);

// Queues kernel<<<grid, block, shared_bytes>>>(arguments...); an empty grid is no launch.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            const Arguments&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const void* entry = reinterpret_cast<const void*>(kernel);
  constexpr std::size_t without_asking = std::size_t{48} << 10;
  if (shared_bytes > without_asking)
    check_launch(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(shared_bytes)),
                 entry);
  kernel<<<grid, block, shared_bytes, current_stream()>>>(static_cast<Parameters>(arguments)...);
  check_launch(cudaGetLastError(), entry);
}

// The block's dynamic shared memory, aligned to 16 bytes.
template <typename T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

// shared[0, 16) = global[0, bytes), then zeros; both aligned to 16 bytes. In shared memory after
// the copy_async_wait of this thread that covers it, and for other threads after a barrier behind
// that.
__device__ __forceinline__ void copy_async16(void* shared, const void* global, int bytes = 16) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes)
               : "memory");
#else
  if (bytes == 16) {
    *static_cast<float4*>(shared) = *static_cast<const float4*>(global);
  } else {
    for (int i = 0; i < 4; ++i)
      static_cast<float*>(shared)[i] = 4 * i < bytes ? static_cast<const float*>(global)[i] : 0.0f;
  }
#endif
}

// The same for 4 bytes, aligned to 4.
__device__ __forceinline__ void copy_async4(void* shared, const void* global, int bytes = 4) {
#if __CUDA_ARCH__ >= 800
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(bytes)
               : "memory");
#else
  *static_cast<float*>(shared) = bytes ? *static_cast<const float*>(global) : 0.0f;
#endif
}

// Ends a group of copies of this thread.
__device__ __forceinline__ void copy_async_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until all but the last `pending` groups of this thread have arrived.
template <int pending>
__device__ __forceinline__ void copy_async_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// The nearest number with 10 bits behind the point, ties away from 0, as the bits of a float.
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#else
  return (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
#endif
}

// d[16,8] += a[16,8] · b[8,8] of a whole warp, each lane with its fragments of PTX's
// mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32. Kernels for sm_75 must not reach it.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

#endif  // __CUDACC__

}  // namespace maskwatch::MASKWATCH_GPU_NAMESPACE
