#include "kernels/cuda/staging.h"

namespace lapidary::cuda {

Staging::Staging(cudaStream_t stream) : stream_(stream) {
  for (Part& part : parts_) {
    CUDA_CHECK(cudaMallocHost(&part.data, kBytes));
    CUDA_CHECK(cudaEventCreateWithFlags(&part.sent, cudaEventDisableTiming));
  }
}

Staging::~Staging() {
  for (Part& part : parts_) {
    CUDA_CHECK(cudaEventDestroy(part.sent));
    CUDA_CHECK(cudaFreeHost(part.data));
  }
}

void* Staging::fill() {
  CUDA_CHECK(cudaEventSynchronize(parts_[current_].sent));
  return parts_[current_].data;
}

void Staging::send(void* to, size_t bytes) {
  const Part& part = parts_[current_];
  CUDA_CHECK(cudaMemcpyAsync(to, part.data, bytes, cudaMemcpyHostToDevice, stream_));
  CUDA_CHECK(cudaEventRecord(part.sent, stream_));
  current_ = (current_ + 1) % parts_.size();
}

void Staging::finish() { CUDA_CHECK(cudaStreamSynchronize(stream_)); }

}  // namespace lapidary::cuda
