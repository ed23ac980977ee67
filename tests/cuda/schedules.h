// Runs a test's body under every order of threads and every way in which asynchronous copies may
// land and streams may lag behind the host that the CPU's runtime knows; on a GPU, which has its
// own, once.
#pragma once

#include "tests/catch.h"

#ifdef CUDA_ON_CPU
#include "tests/cuda_on_cpu/block.h"
#endif

namespace lapidary {

#ifdef CUDA_ON_CPU
// 0: ascending, 1: descending, others: random. The thread sanitizer sees a race in any order.
#ifdef CUDA_ON_CPU_RACES
constexpr unsigned kSeeds[] = {0, 2};
#else
constexpr unsigned kSeeds[] = {0, 1, 2, 3, 4, 5};
#endif
#endif

template <typename Body>
void each_schedule(const Body& body) {
#ifdef CUDA_ON_CPU
  for (const unsigned seed : kSeeds) {
    for (const bool late : {false, true}) {
      const bool late_work = late == (seed % 2 == 0);  // each with each
      INFO("threads: " << (seed == 0 ? "ascending" : seed == 1 ? "descending" : "random") << " ("
                       << seed << "), copies land " << (late ? "late" : "at once")
                       << ", streams work " << (late_work ? "late" : "at once"));
      cuda_on_cpu::set_schedule({seed, late, late_work});
      body();
    }
  }
  cuda_on_cpu::set_schedule({});
#else
  body();
#endif
}

}  // namespace lapidary
