// What block.cpp keeps of a block while it runs: its fibers, what they wait for, and their order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tests/cuda_on_cpu/block.h"
#include "tests/cuda_on_cpu/context_switch.h"

namespace cuda_on_cpu {

enum class State : uint8_t { running, in_collective, at_barrier, at_previous_grid, exited };

[[noreturn]] void fiber_main();  // block.cpp

struct Fiber {
  Context context{fiber_main};
  unsigned number = 0;  // in the block
  uint3 index{};
  State state = State::exited;
  const char* waits_in = nullptr;
  unsigned n_barriers = 0;  // arrived at
  int barrier = 0;          // the last one, and what it gave
  int barrier_sum = 0;

  unsigned lane() const { return number % 32; }
};

struct Collective {
  const char* op;
  unsigned mask, arrived;
  unsigned sync;  // of a __syncwarp: its number
};

struct Warp {
  unsigned live = 0;
  Collective open[32];  // of disjoint masks
  int n_open = 0;
  void* arguments[32]{};
  Meeting syncs[8];  // of one __syncwarp after another; a lane may still leave an older one
  unsigned n_syncs = 0;
  unsigned n_barriers = 0;         // the most that a lane arrived at
  unsigned n_barriers_exited = 0;  // the fewest that an exited lane arrived at
  bool any_exited = false;
};

struct Barrier {
  const char* op = nullptr;
  unsigned arrived = 0;
  unsigned n_threads = 0;
  int sum = 0;
  unsigned phase = 0;  // how often it has opened; a thread may still leave the one before
  Meeting meetings[2];
};

// The block that runs, and the order in which its threads do.
struct Block {
  std::vector<std::unique_ptr<Fiber>> fibers;  // grows to the largest block
  std::vector<Warp> warps;
  Barrier barriers[16];
  // Who can run: in this pass, in the order of its end, and in the next one.
  std::vector<Fiber*> now, next;
  unsigned n_threads = 0, n_live = 0;
  unsigned n_at_previous_grid = 0;
  bool has_waited = false;    // for the previous grid
  bool any_progress = false;  // in this pass, other than by yield() and poll()
  bool any_yield = false;     // in this pass: somebody waits for memory
  unsigned n_idle_passes = 0;
  // In random orders one warp falls behind the others for a while.
  uint64_t held_warp = 0;
  uint64_t n_passes_held = 0;
  Fiber* current = nullptr;
  Context host;
  Meeting start, end;  // of the host with all threads
  std::span<char> dynamic_shared;
  const std::function<void()>* thread = nullptr;
  uint64_t random = 0;

  // Below n.
  uint64_t next_random(uint64_t n) {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return (random >> 32) * n >> 32;
  }
};

}  // namespace cuda_on_cpu
