// Verbs whose file does not exist yet, so that the others' tests link. A real one wins.
#include <cstdlib>

#include "kernels/cuda/cuda_backend.h"

namespace lapidary::cuda {
#define MISSING(verb, Args) \
  __attribute__((weak)) void CudaBackend::verb(const Args&) { std::abort(); }
MISSING(linear, LinearArgs)
MISSING(geglu_linear, GegluLinearArgs)
MISSING(logits, LogitsArgs)
__attribute__((weak)) std::vector<Sampled> CudaBackend::sample(const SampleArgs&) { std::abort(); }
MISSING(qkv, QkvArgs)
MISSING(attention, AttentionArgs)
MISSING(moe_route, MoeRouteArgs)
MISSING(moe_ffn, MoeFfnArgs)
}  // namespace lapidary::cuda
