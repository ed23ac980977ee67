// What stands for the kernels for Hopper in a build without sm_90a: they are never chosen.
#include "kernels/check.h"
#include "kernels/cuda/hopper.h"
#include "kernels/cuda/hopper_attention.h"
#include "kernels/cuda/hopper_grouped_gemm.h"

namespace lapidary::cuda {

bool has_hopper_kernels() { return false; }

void launch_hopper_grouped_gemm(const GroupedGemm&, bool, int64_t, int, cudaStream_t) {
  CHECK(has_hopper_kernels());
}

int hopper_attention_rows(int) { CHECK(false); }
void launch_hopper_attention(const AttentionArgs&, const AttentionView&, int64_t, cudaStream_t) {
  CHECK(false);
}

}  // namespace lapidary::cuda
