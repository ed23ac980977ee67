// Catch's main for tests that run on a GPU: without one they are skipped (exit status 77), and
// those that need Hopper's instructions (NEEDS_HOPPER) on any other.
#include <cuda_runtime.h>

#include <cstdio>
#include <string>

#include "kernels/backend.h"

#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

namespace {

// Empty: the tests can run.
std::string why_skipped() {
  const std::string why = lapidary::why_no_cuda();
  if (!why.empty()) return "no GPU can be used: " + why;
#ifdef NEEDS_HOPPER
  int major = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) != cudaSuccess ||
      major != 9) {
    return "the GPU's compute capability is not 9.x, so it lacks Hopper's instructions";
  }
#endif
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string why = why_skipped();
  if (!why.empty()) {
    std::printf("Skipped: %s.\n", why.c_str());
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
