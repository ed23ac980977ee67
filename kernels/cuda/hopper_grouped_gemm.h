// The grouped products of moe_ffn for many tokens on Hopper's own instructions. Same operands and
// results as grouped_gemm.cuh, up to the order in which the tensor cores add.
#pragma once

#include "kernels/cuda/grouped_gemm.cuh"

namespace lapidary::cuda {

// is_gate_up as in grouped_gemm_kernel; n_pairs: of m.pairs.
void launch_hopper_grouped_gemm(const GroupedGemm& m, bool is_gate_up, int64_t n_pairs,
                                int n_multiprocessors, cudaStream_t stream);

}  // namespace lapidary::cuda
