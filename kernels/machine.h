// What the machine can do at best, measured: the shares that benchmarks and profiles print are of
// these.
#pragma once

namespace maskwatch::kernels {

// 10^9 floating-point operations a second of independent fused multiply-adds on threads()
// threads, in the widest vectors.
double peak_gflops();

// 10^9 bytes a second through memory, reads and writes counted, in a = b + c over arrays far beyond
// any cache, on threads() threads.
double peak_memory_gbs();

}  // namespace maskwatch::kernels
