// Catch's main for tests that run on a GPU: without one they are skipped (exit status 77).
#include <cstdio>

#include "kernels/backend.h"

#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

int main(int argc, char** argv) {
  if (lapidary::n_cuda_devices() == 0) {
    std::puts("Skipped: no GPU can be used.");
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
