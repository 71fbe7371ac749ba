// What the machine can do at best, measured: the shares that benchmarks and profiles print are of
// these.
#pragma once

namespace maskwatch::kernels {

// 10^9 floating-point operations a second of independent fused multiply-adds on threads()
// threads, in the widest vectors.
double peak_gflops();

// The same of the int8 operations (kernels/quantized.h): of independent multiply-adds of codes and
// weights, as the target that they run on has them.
double peak_int8_gops();

// 10^9 bytes a second through memory, reads and writes counted, in a = b + c over arrays far beyond
// any cache, on threads() threads.
double peak_memory_gbs();

}  // namespace maskwatch::kernels
