// What the thread sanitizer is told in its build: each CUDA thread counts as a thread, ordered with
// others only by barriers, __syncwarp and fences. It then finds the two accesses that a missing
// barrier leaves unordered, whatever the schedule. Blocks of a grid count as ordered, because they
// share the same shared memory here. In other builds these do nothing.
#pragma once

#include <cstddef>

#ifdef CUDA_ON_CPU_RACES
extern "C" {
void __tsan_acquire(void* at);
void __tsan_release(void* at);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
void __tsan_read_range(void* data, unsigned long bytes);
void __tsan_write_range(void* data, unsigned long bytes);
}
#endif

namespace cuda_on_cpu {

// A point in time that threads arrive at and leave after.
struct Meeting {
  char address = 0;

#ifdef CUDA_ON_CPU_RACES
  void arrive() { __tsan_release(&address); }
  void leave() { __tsan_acquire(&address); }
#else
  void arrive() {}
  void leave() {}
#endif
};

// While it lives, the running thread's accesses are nobody's: it works for the whole warp.
class Unobserved {
 public:
#ifdef CUDA_ON_CPU_RACES
  Unobserved() { __tsan_ignore_thread_begin(); }
  ~Unobserved() { __tsan_ignore_thread_end(); }
#else
  Unobserved() {}
  ~Unobserved() {}
#endif
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;
};

// Accesses that the compiler did not see or that happen unobserved.
#ifdef CUDA_ON_CPU_RACES
inline void note_read(const void* data, size_t bytes) {
  __tsan_read_range(const_cast<void*>(data), bytes);
}
inline void note_write(void* data, size_t bytes) { __tsan_write_range(data, bytes); }
#else
inline void note_read(const void*, size_t) {}
inline void note_write(void*, size_t) {}
#endif

}  // namespace cuda_on_cpu
