// Barriers in shared memory that count arrivals and bytes of copies; each completed phase flips the
// parity that waits name. What the hardware leaves undefined ends the process with a sentence: a
// barrier that nobody initialised or somebody overwrote, more arrivals than it was told of.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_cpu {

void mbarrier_init(uint64_t* barrier, uint32_t n_arrivals);

// One arrival, of which the phase also waits for n_bytes more.
void mbarrier_arrive(uint64_t* barrier, uint32_t n_bytes);

// One arrival once all asynchronous copies of this thread have landed.
void mbarrier_arrive_after_copies(uint64_t* barrier);

// The running thread begins something that will report to the present phase; then, once done.
void mbarrier_begin(uint64_t* barrier);
void mbarrier_complete_bytes(uint64_t* barrier, uint32_t n_bytes);

// Whether the last completed phase has this parity; if not, others have run in between.
bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity);

void begin_mbarriers();  // of a block

}  // namespace cuda_on_cpu
