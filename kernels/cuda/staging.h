// Page-locked buffers through which everything goes to the device: while some are copied the next
// is filled, so that a mapped file of any size streams through a few megabytes, and the integers
// of a step are on their way while the host goes on. Engine thread.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/cuda/launch.h"

namespace lapidary::cuda {

class Staging {
 public:
  // Throws std::runtime_error, one sentence, when the memory cannot be locked.
  explicit Staging(cudaStream_t stream);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  static constexpr size_t kBytes = size_t{4} << 20;

  // The buffer to fill, kBytes, once the device has read what was in it.
  void* fill();
  // Sends the first `bytes` of it: what the stream does later finds them there.
  void send(void* to, size_t bytes);

 private:
  struct Part {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
    ~Part();
  };

  cudaStream_t stream_;
  std::array<Part, 8> parts_;
  size_t current_ = 0;
};

}  // namespace lapidary::cuda
