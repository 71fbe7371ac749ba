// Marks functions that run on the CPU and, compiled by nvcc, inside kernels on a GPU.
#pragma once

#ifdef __CUDACC__
#define KERNELS_HOST_DEVICE __host__ __device__
#else
#define KERNELS_HOST_DEVICE
#endif
