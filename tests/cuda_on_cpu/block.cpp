#include "tests/cuda_on_cpu/block.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/cuda_on_cpu/async_copies.h"
#include "tests/cuda_on_cpu/background.h"
#include "tests/cuda_on_cpu/block_parts.h"
#include "tests/cuda_on_cpu/dynamic_shared.h"
#include "tests/cuda_on_cpu/mbarrier.h"
#include "tests/cuda_on_cpu/proxies.h"
#include "tests/cuda_on_cpu/static_shared.h"
#include "tests/cuda_on_cpu/warpgroup.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_on_cpu {
namespace {

constexpr uint64_t kOddConstant = 0x9e3779b97f4a7c15ULL;  // spreads the bits of small numbers

constexpr unsigned kMaxPassesOfYields = 1U << 20;
constexpr uint64_t kMaxPassesHeld = 24;

Block blocks[2];  // the second: of a grid that another one has begun to overlap with
Block* block = &blocks[0];
Schedule present;
std::recursive_mutex one_grid_at_a_time;

// Of the grid that runs: whether it was launched to overlap, and the one before it, if that still
// has to run.
bool may_overlap = false;
std::function<void()> previous_grid;

bool is_same(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

Warp& warp_of(const Fiber& fiber) { return block->warps[fiber.number / 32]; }

[[noreturn]] void deadlock() {
  std::string what = "deadlock:";
  unsigned n_named = 0;
  for (unsigned i = 0; i < block->n_threads; ++i) {
    const Fiber& fiber = *block->fibers[i];
    if (fiber.state == State::exited) continue;
    if (n_named == 0) block->current = block->fibers[i].get();
    if (++n_named > 8) {
      what += " ...";
      break;
    }
    what += " thread " + std::to_string(i) + " waits in " + fiber.waits_in + ";";
  }
  what += " the others never come";
  fail(what.c_str());
}

void make_ready(Fiber& fiber) {
  fiber.state = State::running;
  block->next.push_back(&fiber);
}

// Leaves the threads of the warp that falls behind to the next pass, if there are others.
void hold_back_one_warp() {
  const Unobserved by_nobody;
  if (block->n_passes_held-- == 0) {
    block->held_warp = block->next_random(2 * block->warps.size());  // half of the time: none
    block->n_passes_held = block->next_random(kMaxPassesHeld);
  }
  const auto held = std::stable_partition(
      block->now.begin(), block->now.end(),
      [](const Fiber* fiber) { return fiber->number / 32 != block->held_warp; });
  if (held == block->now.begin() || held == block->now.end()) return;
  block->next.assign(held, block->now.end());
  block->now.erase(held, block->now.end());
  block->any_progress = true;  // theirs is to come
}

// The threads that became ready during the last pass, taken from the back of `now`.
void begin_pass() {
  if (block->next.empty()) deadlock();
  // Where everybody waits, what is under way beside the threads must come now.
  if (block->any_progress || advance_background()) {
    block->n_idle_passes = 0;
  } else {
    if (!block->any_yield) deadlock();
    ++block->n_idle_passes;
    require(block->n_idle_passes < kMaxPassesOfYields,
            "threads wait for memory that nobody writes");
  }
  block->any_progress = block->any_yield = false;
  block->now.swap(block->next);
  if (present.seed == 0) std::reverse(block->now.begin(), block->now.end());
  if (present.seed <= 1) return;
  hold_back_one_warp();
  for (size_t i = block->now.size(); i > 1; --i) {
    std::swap(block->now[i - 1], block->now[block->next_random(i)]);
  }
}

Fiber& next_ready() {
  if (block->now.empty()) begin_pass();
  Fiber& fiber = *block->now.back();
  block->now.pop_back();
  return fiber;
}

void resume(Context& from, Fiber& fiber) {
  if (&from == &fiber.context) return;
  block->current = &fiber;
  threadIdx = fiber.index;
  from.switch_to(fiber.context);
}

// Runs others; where all that can wait for the previous grid do, the host goes on.
void leave(Context& mine) {
  if (block->n_at_previous_grid > 0 && block->now.empty() && block->next.empty()) {
    mine.switch_to(block->host);
  } else {
    resume(mine, next_ready());
  }
}

// Until the current thread has been made ready and its turn has come.
void suspend() { leave(block->current->context); }

void exit_thread() {
  Fiber& me = *block->current;
  Warp& warp = warp_of(me);
  require(warp.n_barriers <= me.n_barriers,
          "a thread exits without a barrier at which its warp was");
  for (int i = 0; i < warp.n_open; ++i) {
    require((warp.open[i].mask >> me.lane() & 1U) == 0,
            "a thread exits though a collective waits for it");
  }
  warp.n_barriers_exited =
      warp.any_exited ? std::min(warp.n_barriers_exited, me.n_barriers) : me.n_barriers;
  warp.any_exited = true;
  warp.live &= ~(1U << me.lane());
  me.state = State::exited;
  --block->n_live;
  block->any_progress = true;
}

void open_barrier(Barrier& at) {
  for (unsigned i = 0; i < block->n_threads; ++i) {
    Fiber& fiber = *block->fibers[i];
    if (fiber.state != State::at_barrier || fiber.barrier != &at - block->barriers) continue;
    fiber.barrier_sum = at.sum;
    make_ready(fiber);
  }
  at.op = nullptr;
  at.arrived = at.n_threads = 0;
  at.sum = 0;
  ++at.phase;
}

void open_barriers_of_the_live() {
  for (Barrier& at : block->barriers) {
    if (at.arrived > 0 && at.n_threads == 0 && at.arrived == block->n_live) open_barrier(at);
  }
}

void start_threads() {
  while (block->fibers.size() < block->n_threads)
    block->fibers.push_back(std::make_unique<Fiber>());
  block->warps.resize((block->n_threads + 31) / 32);
  for (Warp& warp : block->warps) warp = Warp{};
  for (Barrier& at : block->barriers) at = Barrier{};
  block->now.clear();
  block->next.clear();
  block->now.reserve(block->n_threads);  // by the host: no thread may come to own them
  block->next.reserve(block->n_threads);
  for (unsigned i = 0; i < block->n_threads; ++i) {
    Fiber& fiber = *block->fibers[i];
    fiber.number = i;
    fiber.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    fiber.n_barriers = 0;
    warp_of(fiber).live |= 1U << fiber.lane();
    make_ready(fiber);
  }
  block->n_live = block->n_threads;
  block->any_progress = true;
  block->n_idle_passes = 0;
  block->n_passes_held = 0;
}

void begin_memory() {
  begin_background();
  begin_async_copies(block->n_threads);
  begin_mbarriers();
  begin_proxies();
  begin_warpgroups(block->n_threads);
}

// The grid before this one runs at last, while threads of a block wait for it. What they have begun
// by mbarriers is not kept.
void run_previous_grid() {
  const std::function<void()> previous = std::exchange(previous_grid, nullptr);
  const dim3 grid = gridDim;
  const dim3 shape = blockDim;
  const uint3 index = blockIdx;
  const std::vector<std::vector<char>> kept = static_shared_content();
  block = &blocks[1];
  may_overlap = false;
  previous();
  may_overlap = true;
  block = &blocks[0];
  set_static_shared_content(kept);
  gridDim = grid;
  blockDim = shape;
  blockIdx = index;
  begin_memory();
  block->n_at_previous_grid = 0;
  for (unsigned i = 0; i < block->n_threads; ++i) {
    Fiber& fiber = *block->fibers[i];
    if (fiber.state == State::at_previous_grid) make_ready(fiber);
  }
  block->start.arrive();
}

void run_block() {
  start_threads();
  begin_memory();
  block->has_waited = false;
  block->start.arrive();
  resume(block->host, next_ready());
  while (block->n_at_previous_grid > 0) {
    run_previous_grid();
    resume(block->host, next_ready());
  }
  block->end.leave();
  require(!may_overlap || block->has_waited,
          "a block that may overlap with the grid before it does not wait for that");
  block->current = nullptr;
  end_background();
  end_warpgroups();
}

// The block that runs as number i of n in the schedule's order: a permutation.
uint64_t block_at(uint64_t i, uint64_t n) {
  if (present.seed == 0) return i;
  if (present.seed == 1) return n - 1 - i;
  uint64_t stride = present.seed * kOddConstant % n + 1;
  while (std::gcd(stride, n) != 1) ++stride;
  return (i * stride + present.seed) % n;
}

}  // namespace

void fiber_main() {
  Context::entered();
  while (true) {
    block->start.leave();
    (*block->thread)();
    block->end.arrive();
    exit_thread();
    open_barriers_of_the_live();
    Context& mine = block->current->context;
    if (block->n_live == 0) {
      mine.switch_to(block->host);
    } else {
      leave(mine);
    }
  }
}

void set_schedule(Schedule schedule) { present = schedule; }
const Schedule& schedule() { return present; }

void fail(const char* what) {
  std::fprintf(stderr, "cuda_on_cpu: %s", what);
  if (block->current != nullptr) {
    const uint3 thread = block->current->index;
    std::fprintf(stderr, " (block %u,%u,%u thread %u,%u,%u)", blockIdx.x, blockIdx.y, blockIdx.z,
                 thread.x, thread.y, thread.z);
  }
  std::fprintf(stderr, "\n");
  std::abort();
}

void* dynamic_shared() { return block->dynamic_shared.data(); }
std::span<char> dynamic_shared_bytes() { return block->dynamic_shared; }

void poll(const char* what) {
  block->current->waits_in = what;
  make_ready(*block->current);
  suspend();
}
void yield() {
  block->any_yield = true;
  poll("a loop on memory");
}
void note_progress() { block->any_progress = true; }

uint64_t choose(uint64_t n) {
  if (present.seed <= 1) return present.seed == 0 ? 0 : n - 1;
  return block->next_random(n);
}

int barrier(const char* op, int id, unsigned n_threads, int value) {
  Fiber& me = *block->current;
  Warp& warp = warp_of(me);
  require(id >= 0 && id < 16, "a barrier's number is 0 to 15");
  require(n_threads % 32 == 0, "a barrier of part of the block counts whole warps");
  ++me.n_barriers;
  require(!warp.any_exited || warp.n_barriers_exited >= me.n_barriers,
          "a barrier was left out by a lane of the same warp that has exited");
  warp.n_barriers = std::max(warp.n_barriers, me.n_barriers);
  Barrier& at = block->barriers[id];
  if (at.arrived == 0) {
    at.op = op;
    at.n_threads = n_threads;
  }
  require(is_same(at.op, op) && at.n_threads == n_threads,
          "threads met at one barrier with different operations");
  ++at.arrived;
  at.sum += value;
  block->any_progress = true;
  me.barrier = id;
  me.state = State::at_barrier;
  me.waits_in = op;
  Meeting& meeting = at.meetings[at.phase % 2];
  meeting.arrive();
  if (at.arrived == (n_threads == 0 ? block->n_live : n_threads)) open_barrier(at);
  suspend();
  meeting.leave();
  return me.barrier_sum;
}

unsigned lane_number() { return block->current->lane(); }
unsigned thread_number() { return block->current->number; }

void** arrive(const char* op, unsigned mask, void* arguments) {
  Fiber& me = *block->current;
  Warp& warp = warp_of(me);
  const unsigned mine = 1U << me.lane();
  require((mask & mine) != 0, "a lane is not in the mask that it gives");
  require((mask & ~warp.live) == 0, "a mask names a lane that has exited or never was");
  Collective* open = nullptr;
  for (int i = 0; i < warp.n_open; ++i) {
    if ((warp.open[i].mask & mask) == 0) continue;
    open = &warp.open[i];
    require(open->mask == mask && is_same(open->op, op),
            "lanes of one warp met in different collectives");
  }
  if (open == nullptr) {
    open = &warp.open[warp.n_open++];
    *open = {op, mask, 0, warp.n_syncs++};
  }
  block->any_progress = true;
  warp.arguments[me.lane()] = arguments;
  open->arrived |= mine;
  if (open->arrived == mask) {
    *open = warp.open[--warp.n_open];
    return warp.arguments;
  }
  me.state = State::in_collective;
  me.waits_in = op;
  suspend();
  return nullptr;
}

void release(unsigned mask) {
  Fiber& me = *block->current;
  const unsigned first = me.number / 32 * 32;
  for (unsigned others = mask & ~(1U << me.lane()); others != 0; others &= others - 1) {
    make_ready(*block->fibers[first + static_cast<unsigned>(std::countr_zero(others))]);
  }
  // Who computed for all is not always the one who goes on first.
  if (present.seed > 1 && block->next_random(2) != 0) yield();
}

void sync_warp(unsigned mask) {
  Warp& warp = warp_of(*block->current);
  // The first lane to come opens the next one.
  unsigned number = warp.n_syncs;
  for (int i = 0; i < warp.n_open; ++i) {
    if (warp.open[i].mask == mask) number = warp.open[i].sync;
  }
  Meeting& meeting = warp.syncs[number % 8];
  meeting.arrive();
  char nothing = 0;
  collective("__syncwarp", mask, nothing, [](char**) {});
  meeting.leave();
}

void fence() {
  static Meeting all;
  all.arrive();
  all.leave();
}

void after_previous_grid() {
  block->has_waited = true;
  if (previous_grid == nullptr || block != &blocks[0]) return;
  Fiber& me = *block->current;
  me.state = State::at_previous_grid;
  me.waits_in = "griddepcontrol.wait";
  ++block->n_at_previous_grid;
  note_progress();
  suspend();
  block->start.leave();
}

void run_overlapping(const std::function<void()>& previous, const std::function<void()>& grid) {
  const std::lock_guard lock(one_grid_at_a_time);
  may_overlap = true;
  previous_grid = previous;
  grid();
  may_overlap = false;
}

void run_grid(dim3 grid, dim3 block_shape, size_t shared_bytes,
              const std::function<void()>& thread) {
  const std::lock_guard lock(one_grid_at_a_time);
  DynamicShared shared(shared_bytes);
  gridDim = grid;
  blockDim = block_shape;
  block->n_threads = block_shape.x * block_shape.y * block_shape.z;
  block->dynamic_shared = shared.bytes();
  block->thread = &thread;
  const uint64_t n_blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t i = 0; i < n_blocks; ++i) {
    const uint64_t b = block_at(i, n_blocks);
    blockIdx = {static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                static_cast<unsigned>(b / grid.x / grid.y)};
    block->random = (present.seed + b * 2 + 1) * kOddConstant;
    shared.poison();
    poison_static_shared();
    run_block();
    shared.check_guard();
  }
}

}  // namespace cuda_on_cpu
