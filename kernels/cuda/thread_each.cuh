// For verbs with a thread for each thing that is written: the grid, and a thread's place in it.
#pragma once

#include "kernels/cuda/lanes.cuh"

namespace lapidary::cuda {

constexpr int kThreadsEach = 256;  // in a block

__device__ __forceinline__ int64_t thread_of_grid() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

inline LaunchShape a_thread_each(int64_t n, cudaStream_t stream) {
  return {.grid = dim3(static_cast<unsigned>(div_up(n, kThreadsEach))),
          .block = dim3(kThreadsEach),
          .stream = stream};
}

}  // namespace lapidary::cuda
