// Device memory that a verb needs between its launches. A verb starts with clear() and takes what
// it wants; the stream's order makes that safe, as all verbs share one stream. Engine thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/tensor.h"

namespace lapidary::cuda {

class Workspace {
 public:
  void clear() { used_ = 0; }

  // n elements, aligned to 256 bytes; valid until the next clear().
  template <typename T>
  T* take(int64_t n) {
    return static_cast<T*>(take_bytes(static_cast<size_t>(n) * sizeof(T)));
  }

  // Takes the memory of the largest step at start. Nothing may be in use.
  void reserve(size_t bytes);

 private:
  void* take_bytes(size_t bytes);

  Buffer buffer_;
  size_t used_ = 0;
};

}  // namespace lapidary::cuda
