// Runs a test's body under every order of threads and every way in which asynchronous copies may
// land that the CPU's runtime knows; on a GPU, which has its own, once.
#pragma once

#include "tests/catch.h"

#ifdef CUDA_ON_CPU
#include "tests/cuda_on_cpu/block.h"
#endif

namespace lapidary {

template <typename Body>
void each_schedule(const Body& body) {
#ifdef CUDA_ON_CPU
  for (const unsigned seed : {0U, 1U, 2U, 3U, 4U, 5U}) {
    for (const bool late : {false, true}) {
      INFO("threads: " << (seed == 0 ? "ascending" : seed == 1 ? "descending" : "random") << " ("
                       << seed << "), copies land " << (late ? "late" : "at once"));
      cuda_on_cpu::set_schedule({seed, late});
      body();
    }
  }
  cuda_on_cpu::set_schedule({});
#else
  body();
#endif
}

}  // namespace lapidary
