#include "tests/cuda_on_cpu/mbarrier.h"

#include <unordered_map>

#include "tests/cuda_on_cpu/async_copies.h"
#include "tests/cuda_on_cpu/background.h"
#include "tests/cuda_on_cpu/block.h"

namespace cuda_on_cpu {
namespace {

constexpr uint32_t kMaxCount = (1U << 20) - 1;  // of arrivals, and of bytes

// What the word in shared memory holds: the count itself is kept here.
constexpr uint64_t kMark = 0x6d62617272696572ULL;

struct State {
  uint32_t expected = 0;
  uint32_t pending = 0;  // arrivals of this phase
  int64_t bytes = 0;     // of this phase, that were announced and have not come
  uint32_t phase = 0;
  Meeting meetings[2];
};

std::unordered_map<const uint64_t*, State> barriers;

void check_place(const uint64_t* barrier) {
  require(reinterpret_cast<uintptr_t>(barrier) % 8 == 0, "an mbarrier is not aligned to 8 bytes");
}

State& state_of(uint64_t* barrier) {
  check_place(barrier);
  note_read(barrier, sizeof(*barrier));
  const auto found = barriers.find(barrier);
  require(found != barriers.end(), "an mbarrier is used that nobody has initialised");
  require(*barrier == kMark, "an mbarrier was overwritten");
  return found->second;
}

void complete_if_done(State& s) {
  if (s.pending > 0 || s.bytes != 0) return;
  ++s.phase;
  s.pending = s.expected;
  note_progress();
}

void count_arrival(State& s) {
  require(s.pending > 0, "more arrivals at an mbarrier than it was told to expect");
  --s.pending;
  complete_if_done(s);
}

}  // namespace

void mbarrier_init(uint64_t* barrier, uint32_t n_arrivals) {
  check_place(barrier);
  require(n_arrivals >= 1 && n_arrivals <= kMaxCount, "an mbarrier expects 1 to 2^20 - 1 arrivals");
  note_write(barrier, sizeof(*barrier));
  *barrier = kMark;
  State& s = barriers[barrier];
  s.expected = s.pending = n_arrivals;
  s.bytes = 0;
  s.phase = 0;
}

void mbarrier_begin(uint64_t* barrier) {
  State& s = state_of(barrier);
  s.meetings[s.phase % 2].arrive();
}

void mbarrier_arrive(uint64_t* barrier, uint32_t n_bytes) {
  State& s = state_of(barrier);
  s.meetings[s.phase % 2].arrive();
  s.bytes += n_bytes;
  require(s.bytes <= kMaxCount, "an mbarrier's phase waits for 2^20 - 1 bytes at most");
  count_arrival(s);
}

void mbarrier_arrive_after_copies(uint64_t* barrier) {
  mbarrier_begin(barrier);
  in_background(thread_number(), [barrier, copies = take_async_copies()] {
    land_async_copies(copies);
    count_arrival(state_of(barrier));
  });
}

void mbarrier_complete_bytes(uint64_t* barrier, uint32_t n_bytes) {
  State& s = state_of(barrier);
  s.bytes -= n_bytes;
  complete_if_done(s);
}

bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity) {
  require(parity <= 1, "an mbarrier's parity is 0 or 1");
  State& s = state_of(barrier);
  if (s.phase % 2 == parity) {
    poll("an mbarrier");
    return false;
  }
  s.meetings[parity].leave();
  note_progress();
  return true;
}

void begin_mbarriers() { barriers.clear(); }

}  // namespace cuda_on_cpu
