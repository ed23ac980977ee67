// cp.async: copies of a thread into shared memory, closed into groups. They land at once or, in a
// schedule with late copies, only when a wait or an mbarrier needs them.
#pragma once

#include <vector>

namespace cuda_on_cpu {

struct AsyncCopy {
  void* to;
  const void* from;
  int n, n_read;
};

// n bytes of which n_read are read and the rest become zero.
void async_copy(void* shared, const void* global, int n, int n_read);
void async_commit();
void async_wait(int n_pending);

// Those of the running thread that have not landed; it waits for them no more.
std::vector<AsyncCopy> take_async_copies();
void land_async_copies(const std::vector<AsyncCopy>& copies);

void begin_async_copies(unsigned n_threads);  // of a block

}  // namespace cuda_on_cpu
