#include "kernels/cuda/staging.h"

namespace lapidary::cuda {

Staging::Staging(cudaStream_t stream) : stream_(stream) {
  for (Half& half : halves_) {
    CUDA_CHECK(cudaMallocHost(&half.data, kBytes));
    CUDA_CHECK(cudaEventCreateWithFlags(&half.sent, cudaEventDisableTiming));
  }
}

Staging::~Staging() {
  for (Half& half : halves_) {
    CUDA_CHECK(cudaEventDestroy(half.sent));
    CUDA_CHECK(cudaFreeHost(half.data));
  }
}

void* Staging::fill() {
  CUDA_CHECK(cudaEventSynchronize(halves_[current_].sent));
  return halves_[current_].data;
}

void Staging::send(void* to, size_t bytes) {
  const Half& half = halves_[current_];
  CUDA_CHECK(cudaMemcpyAsync(to, half.data, bytes, cudaMemcpyHostToDevice, stream_));
  CUDA_CHECK(cudaEventRecord(half.sent, stream_));
  current_ = 1 - current_;
}

void Staging::finish() { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

}  // namespace lapidary::cuda
