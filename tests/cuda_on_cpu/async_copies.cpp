#include "tests/cuda_on_cpu/async_copies.h"

#include <deque>

#include "tests/cuda_on_cpu/background.h"
#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

struct Pending {
  std::vector<AsyncCopy> open;
  std::deque<std::vector<AsyncCopy>> groups;
};

std::vector<Pending> of_thread;

// It may happen at any time between its begin and its end.
void note(const AsyncCopy& copy) {
  note_read(copy.from, static_cast<size_t>(copy.n_read));
  note_write(copy.to, static_cast<size_t>(copy.n));
}

void land(const AsyncCopy& copy) {
  note(copy);
  std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.n_read));
  std::memset(static_cast<char*>(copy.to) + copy.n_read, 0,
              static_cast<size_t>(copy.n - copy.n_read));
}

}  // namespace

void async_copy(void* shared, const void* global, int n, int n_read) {
  const auto misaligned = [n](const void* p) {
    return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(n) != 0;
  };
  require(!misaligned(shared) && !misaligned(global),
          "an asynchronous copy's address is not aligned to its size");
  require(n_read >= 0 && n_read <= n, "an asynchronous copy reads more than it writes");
  const AsyncCopy copy{shared, global, n, n_read};
  if (schedule().late_copies) {
    note(copy);
    of_thread[thread_number()].open.push_back(copy);
  } else {
    land(copy);
  }
}

void async_commit() {
  Pending& mine = of_thread[thread_number()];
  mine.groups.push_back(std::move(mine.open));
  mine.open.clear();
}

void async_wait(int n_pending) {
  Pending& mine = of_thread[thread_number()];
  require(n_pending == 0 || !has_background(thread_number()),
          "copies that an mbarrier was told of are waited for by group");
  if (n_pending == 0) finish_background(thread_number());
  while (mine.groups.size() > static_cast<size_t>(n_pending)) {
    land_async_copies(mine.groups.front());
    mine.groups.pop_front();
  }
}

std::vector<AsyncCopy> take_async_copies() {
  Pending& mine = of_thread[thread_number()];
  std::vector<AsyncCopy> copies;
  for (const auto& group : mine.groups) copies.insert(copies.end(), group.begin(), group.end());
  copies.insert(copies.end(), mine.open.begin(), mine.open.end());
  mine = Pending{};
  return copies;
}

void land_async_copies(const std::vector<AsyncCopy>& copies) {
  for (const AsyncCopy& copy : copies) land(copy);
}

void begin_async_copies(unsigned n_threads) { of_thread.assign(n_threads, Pending{}); }

}  // namespace cuda_on_cpu
