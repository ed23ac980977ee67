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
  explicit Staging(cudaStream_t stream);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  static constexpr size_t kBytes = size_t{4} << 20;

  // The buffer to fill, kBytes, once the device has read what was in it.
  void* fill();
  // Sends the first `bytes` of it.
  void send(void* to, size_t bytes);
  // Waits until all that was sent has arrived.
  void finish();

 private:
  struct Part {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
  };

  cudaStream_t stream_;
  std::array<Part, 8> parts_;
  size_t current_ = 0;
};

}  // namespace lapidary::cuda
