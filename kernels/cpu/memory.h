// Memory of the CPU backend: zeroed, aligned, on huge pages where it is large. Any thread.
#pragma once

#include <cstddef>

#include "kernels/tensor.h"

namespace lapidary::cpu {

// Zeroed. Aligned to 64 bytes, from 1 MiB on to 2 MiB (asked for as huge pages: a streaming read
// is about a third faster so). Pages are touched by nobody yet. Throws std::bad_alloc.
Buffer allocate_zeroed(size_t bytes);

// Grow-only memory that a verb reuses from call to call. Contents do not survive `reserve`.
class Scratch {
 public:
  template <typename T>
  T* reserve(size_t count) {
    return static_cast<T*>(reserve_bytes(count * sizeof(T)));
  }

 private:
  void* reserve_bytes(size_t bytes);

  Buffer buffer_;
};

}  // namespace lapidary::cpu
