// Catch's main for tests that run on a GPU: without one they are skipped (exit status 77).
#include <cstdio>
#include <string>

#include "kernels/backend.h"

#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

int main(int argc, char** argv) {
  const std::string why = lapidary::why_no_cuda();
  if (!why.empty()) {
    std::printf("Skipped: no GPU can be used: %s.\n", why.c_str());
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
