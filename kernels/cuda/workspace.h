// Device memory that a verb needs between its launches. A verb starts with clear() and takes what
// it wants; the stream's order makes that safe, as all verbs share one stream. What was taken once
// stays where it is until the end, so that a recorded step finds it again. Engine thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/tensor.h"

namespace lapidary::cuda {

class Workspace {
 public:
  void clear() {
    chunk_ = 0;
    used_ = 0;
  }

  // n elements, aligned to 256 bytes; valid until the next clear(). Allocates only what no verb has
  // taken before: the engine's dry run takes the most, so that a recorded step finds all of it.
  template <typename T>
  T* take(int64_t n) {
    return static_cast<T*>(take_bytes(static_cast<size_t>(n) * sizeof(T)));
  }

  // Takes so much at once, if it has none yet: all that the largest verb will ask for but long
  // lists of penalties. Throws std::bad_alloc; from here on a take that the device has no memory
  // for ends the process, as every CUDA error does.
  void reserve(size_t bytes);
  // Taken from the device so far.
  size_t bytes() const;

 private:
  void* take_bytes(size_t bytes);
  void grow(size_t bytes);

  std::vector<Buffer> chunks_;
  size_t chunk_ = 0;  // the one that is being given out
  size_t used_ = 0;   // of it
  bool is_reserved_ = false;
};

}  // namespace lapidary::cuda
