// Stands in for NVIDIA's header of this name: what the kernels use of CUDA C++, run by
// tests/cuda_on_cpu. Host and device code are compiled alike.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
// Sections by which static_shared.h finds the variables.
#define CUDA_ON_CPU_TEXT_(x) #x
#define CUDA_ON_CPU_TEXT(x) CUDA_ON_CPU_TEXT_(x)
#define __shared__ \
  static __attribute__((section("cuda_on_cpu_shared_" CUDA_ON_CPU_TEXT(__COUNTER__))))

#include "tests/cuda_on_cpu/async_copies.h"
#include "tests/cuda_on_cpu/atomics.h"
#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/device_math.h"
#include "tests/cuda_on_cpu/mbarrier.h"
#include "tests/cuda_on_cpu/proxies.h"
#include "tests/cuda_on_cpu/runtime_api.h"
#include "tests/cuda_on_cpu/tensor_map.h"
#include "tests/cuda_on_cpu/vector_types.h"
#include "tests/cuda_on_cpu/warp.h"
#include "tests/cuda_on_cpu/warpgroup.h"
