// Two page-locked buffers through which weights go to the device: one is filled while the other is
// copied, so that a mapped file of any size streams through a few megabytes. Engine thread.
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

  static constexpr size_t kBytes = size_t{16} << 20;

  // The buffer to fill, kBytes, once the device has read what was in it.
  void* fill();
  // Sends the first `bytes` of it.
  void send(void* to, size_t bytes);
  // Waits until all that was sent has arrived.
  void finish();

 private:
  struct Half {
    void* data = nullptr;
    cudaEvent_t sent = nullptr;
  };

  cudaStream_t stream_;
  std::array<Half, 2> halves_;
  int current_ = 0;
};

}  // namespace lapidary::cuda
