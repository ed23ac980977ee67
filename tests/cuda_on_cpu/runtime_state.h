// What the files of the runtime API share.
#pragma once

#include "tests/cuda_on_cpu/runtime_api.h"

namespace cuda_on_cpu {

// Notes an error for cudaGetLastError; returns it.
cudaError_t returned(cudaError_t error);

// Whether a stream is being captured: what waits for the device or allocates is then refused.
bool is_any_captured();

bool is_captured(cudaStream_t stream);

// Whether the bytes lie in one live device allocation.
bool is_device_memory(const void* data, size_t bytes);

}  // namespace cuda_on_cpu
