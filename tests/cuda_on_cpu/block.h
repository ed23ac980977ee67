// A block of CUDA threads on the CPU: each thread a fiber, one block at a time, on the host thread
// that launches. What kernels see of it: indices, barriers, collectives of a warp and shared
// memory. Whatever the hardware leaves undefined (a deadlock, a mask that names an
// exited lane, lanes of a warp in different collectives) ends the process with a sentence that
// names block and thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>

#include "tests/cuda_on_cpu/races.h"
#include "tests/cuda_on_cpu/vector_types.h"

// Of the running thread.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuda_on_cpu {

// In which order threads and blocks run (seed 0: ascending, 1: descending, others: random), when
// asynchronous copies land (at once, or as late as the waits allow) and when a stream's work is
// done (at once, or not before it is waited for).
struct Schedule {
  unsigned seed = 0;
  bool late_copies = false;
  bool late_work = false;
};
void set_schedule(Schedule schedule);
const Schedule& schedule();

// Ends the process: "cuda_on_cpu: WHAT (block .. thread ..)".
[[noreturn]] void fail(const char* what);
inline void require(bool ok, const char* what) {
  if (!ok) [[unlikely]]
    fail(what);
}

inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// The block's dynamic shared memory, exactly as large as the launch said. It begins this many bytes
// behind a multiple of 1024.
constexpr size_t kDynamicSharedOffset = 128;
void* dynamic_shared();
std::span<char> dynamic_shared_bytes();

// Lets the other threads run: for loops that wait for memory to change.
void yield();
// The same for loops that wait for `what`, which only note_progress() can have changed.
void poll(const char* what);
void note_progress();

// Below n, by the schedule: the first, the last, or any.
uint64_t choose(uint64_t n);

// bar.sync: waits for n_threads (0: all that have not exited) at barrier `id`; the sum of
// `value` over them.
int barrier(const char* op, int id = 0, unsigned n_threads = 0, int value = 0);

unsigned lane_number();
unsigned thread_number();  // in the block

// One operation of the lanes in `mask`. Returns null once another lane has done it for all; else
// the 32 lanes' arguments: the caller does it, then calls release(mask).
void** arrive(const char* op, unsigned mask, void* arguments);
void release(unsigned mask);

// The last lane of `mask` to come calls function(Arguments* lanes[32]), with null for lanes outside
// the mask; then all go on. Orders no memory accesses, as on the device: see sync_warp.
template <typename Arguments, typename Function>
void collective(const char* op, unsigned mask, Arguments& arguments, const Function& function) {
  void** all = arrive(op, mask, &arguments);
  if (all == nullptr) return;
  Arguments* lanes[32];
  for (int lane = 0; lane < 32; ++lane) {
    lanes[lane] = (mask >> lane & 1U) != 0 ? static_cast<Arguments*>(all[lane]) : nullptr;
  }
  {
    const Unobserved for_all;
    function(lanes);
  }
  release(mask);
}

void sync_warp(unsigned mask);  // __syncwarp
void fence();                   // __threadfence

// griddepcontrol: waits for the grid before this one, if this was launched to overlap with it.
void after_previous_grid();

// Runs a grid whose first block begins before `previous` (if any) runs: that is when it waits.
void run_overlapping(const std::function<void()>& previous, const std::function<void()>& grid);

// Runs `thread` for every thread of every block. Called by the runtime's streams alone.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread);

}  // namespace cuda_on_cpu
