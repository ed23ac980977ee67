#include "kernels/cuda/staging.h"

#include "kernels/cuda/start.h"

namespace lapidary::cuda {

Staging::Staging(cudaStream_t stream) : stream_(stream) {
  for (Part& part : parts_) {
    require_start(cudaMallocHost(&part.data, kBytes), "page-locked memory of the host");
    require_start(cudaEventCreateWithFlags(&part.sent, cudaEventDisableTiming), "an event");
  }
}

Staging::Part::~Part() {
  if (sent != nullptr) CUDA_CHECK(cudaEventDestroy(sent));
  if (data != nullptr) CUDA_CHECK(cudaFreeHost(data));
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

}  // namespace lapidary::cuda
