// What this device can do, measured: a copy far larger than its cache, and a large square product
// of random-looking bits (zeros would run faster than real data).
#include <algorithm>
#include <functional>
#include <vector>

#include "kernels/cuda/cuda_backend.h"

namespace lapidary::cuda {
namespace {

// Best of a few, in seconds of device time.
double seconds_of(cudaStream_t stream, const std::function<void()>& enqueue) {
  cudaEvent_t start = nullptr;
  cudaEvent_t end = nullptr;
  CUDA_CHECK(cudaEventCreate(&start));
  CUDA_CHECK(cudaEventCreate(&end));
  float best_ms = 1e30F;
  for (int i = 0; i < 8; ++i) {
    CUDA_CHECK(cudaEventRecord(start, stream));
    enqueue();
    CUDA_CHECK(cudaEventRecord(end, stream));
    CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    CUDA_CHECK(cudaEventElapsedTime(&ms, start, end));
    if (i > 0) best_ms = std::min(best_ms, ms);  // the first pays for set-up
  }
  CUDA_CHECK(cudaEventDestroy(start));
  CUDA_CHECK(cudaEventDestroy(end));
  return std::max(best_ms, 1e-6F) / 1e3;
}

// bf16 values between 1 and 2 with mixed signs and mantissas.
std::vector<uint16_t> mixed_bits(int64_t n) {
  std::vector<uint16_t> bits(static_cast<size_t>(n));
  uint32_t state = 1;
  for (uint16_t& b : bits) {
    state = state * 1664525 + 1013904223;
    b = static_cast<uint16_t>(0x3f80 | (state >> 16 & 0x7f) | (state >> 8 & 0x8000));
  }
  return bits;
}

}  // namespace

Ceilings CudaBackend::measure_ceilings() {
  const int64_t side = int64_t{64} * n_multiprocessors_;  // fills the device
  const auto bytes = static_cast<size_t>(side * side) * sizeof(bf16);
  Buffer a = allocate(bytes);
  Buffer b = allocate(bytes);
  const Buffer c = allocate(bytes);
  const std::vector<uint16_t> bits = mixed_bits(side * side);
  upload(a.data(), bits.data(), bytes);
  upload(b.data(), bits.data(), bytes);
  const double gemm_s = seconds_of(stream_, [&] {
    gemm_.run({.x = static_cast<const bf16*>(a.data()),
               .weight = static_cast<const bf16*>(b.data()),
               .out = c.data(),
               .n = side,
               .rows = side,
               .cols = side},
              stream_);
  });
  const size_t copied = 8 * bytes;
  a = allocate(copied);
  b = allocate(copied);
  const double copy_s = seconds_of(stream_, [&] {
    CUDA_CHECK(cudaMemcpyAsync(b.data(), a.data(), copied, cudaMemcpyDeviceToDevice, stream_));
  });
  return {.gb_per_s = 2.0 * static_cast<double>(copied) / copy_s / 1e9,
          .gflop_per_s = 2.0 * static_cast<double>(side * side * side) / gemm_s / 1e9};
}

}  // namespace lapidary::cuda
