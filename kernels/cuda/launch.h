// What every .cu file starts from: the runtime's headers, launch(), DYNAMIC_SHARED and CUDA_CHECK.
// The same sources are compiled by nvcc for a GPU, and by g++ against the runtime of
// tests/cuda_on_cpu, which defines CUDA_ON_CPU and runs them thread by thread.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

// `T* name`: the block's dynamic shared memory, aligned to 128 bytes.
#ifdef CUDA_ON_CPU
#define DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(cuda_on_cpu::dynamic_shared())
#else
#define DYNAMIC_SHARED(T, name)                                     \
  extern __shared__ __align__(128) unsigned char dynamic_shared_[]; \
  T* name = reinterpret_cast<T*>(dynamic_shared_)
#endif

// A CUDA error leaves the device in no state to answer anyone: said once, then the process ends
// with exit code 70.
#define CUDA_CHECK(call)                                                     \
  do {                                                                       \
    const cudaError_t cuda_error_ = (call);                                  \
    if (cuda_error_ != cudaSuccess) [[unlikely]] {                           \
      ::lapidary::cuda::cuda_failed(__FILE__, __LINE__, #call, cuda_error_); \
    }                                                                        \
  } while (false)

namespace lapidary::cuda {

using bf16 = __nv_bfloat16;
using fp8 = __nv_fp8_e4m3;

constexpr int kWarpSize = 32;
constexpr unsigned kAllLanes = 0xffffffffU;

[[noreturn]] void cuda_failed(const char* file, int line, const char* call, cudaError_t error);

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;  // dynamic
  cudaStream_t stream = nullptr;
  // Whether it may begin while the grid before it in the stream still runs: a kernel that calls
  // after_previous_grid() (ptx.cuh). Devices before sm_90 cannot.
  bool overlaps = false;
};

// Launches without waiting. Dynamic shared memory beyond 48 KiB is asked for here, and that the
// multiprocessor keeps as much of it as it can, for several blocks.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Arguments... arguments) {
  if (shape.shared_bytes > 48 * 1024) {
    CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shape.shared_bytes)));
    CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributePreferredSharedMemoryCarveout,
                                    cudaSharedmemCarveoutMaxShared));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &overlap;
  config.numAttrs = shape.overlaps ? 1 : 0;
  CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

constexpr int64_t div_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

}  // namespace lapidary::cuda
