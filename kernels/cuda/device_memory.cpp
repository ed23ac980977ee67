#include "kernels/cuda/device_memory.h"

#include <new>

#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

Buffer allocate_device(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes == 0 ? 1 : bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is dealt with by whom asked
    throw std::bad_alloc();
  }
  CUDA_CHECK(error);
  return {data, bytes, [](void* p) { CUDA_CHECK(cudaFree(p)); }};
}

}  // namespace lapidary::cuda
