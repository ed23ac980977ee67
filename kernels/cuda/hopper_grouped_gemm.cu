// Grouped products of many tokens on wgmma and TMA (hopper_grouped_gemm.cuh): a block a
// multiprocessor, each takes every gridDim.x-th tile of 256 weight rows x 128 tokens (64, where an
// expert has so few left).
//
// Arithmetic for 26B at 8192 tokens (512 pairs an expert; 779 GFLOP): gate_up is 2816 k in panels
// of 5.5 x 256 rows, whose last half takes half the time, down 704 k in 11 panels. At 4096
// multiply-adds a clock a step of 64 k takes 512 clocks a block; it reads 4 x (4 x 2 + 4 x 4) KB =
// 96 KB of shared memory for the products (768 clocks at 128 bytes, were each wgmma to fetch all
// it reads; the four warps share b) and 48 KB come in. L2: 85 FLOP a byte, 9.3 TB/s at 790
// TFLOP/s, more than L2 gives; two blocks that share their weights by multicast would halve the
// larger part. Memory: 1.5 GB of weights once, 354 us at 4.3 TB/s, hidden behind 0.99 ms of
// products from about 3000 tokens on. Outputs leave as rows of 64 (gate_up) or 128 bytes.
//
// The maps are made anew for each launch: a recorded step keeps its own copies.
#include "kernels/cuda/hopper_grouped_gemm.h"

#include <algorithm>

#include "kernels/cuda/hopper_grouped_gemm.cuh"

namespace lapidary::cuda {

void launch_hopper_grouped_gemm(const GroupedGemm& m, bool is_gate_up, int64_t n_pairs,
                                int n_multiprocessors, cudaStream_t stream) {
  const int64_t n_x = is_gate_up ? n_pairs / m.top_k : n_pairs;
  const HopperGemm g{
      .weights = make_tensor_map(m.weights, {{m.cols, 1, kHopperDepth},
                                             {m.rows, m.cols, kHopperBlock},
                                             {m.n_experts, int64_t{m.rows} * m.cols, 1}}),
      .tokens = make_tensor_map(m.x, {{m.cols, 1, kHopperDepth}, {n_x, m.cols, kHopperBlock}}),
      .m = m};
  // Each expert with pairs adds at most one tile to those that are full.
  const int64_t max_tiles = n_pairs / kHopperTokens + std::min<int64_t>(n_pairs, m.n_experts);
  const int64_t blocks =
      std::min<int64_t>(n_multiprocessors, max_tiles * div_up(m.rows, kHopperPanel));
  launch(is_gate_up ? hopper_grouped_gemm_kernel<true> : hopper_grouped_gemm_kernel<false>,
         {.grid = static_cast<unsigned>(blocks),
          .block = kHopperThreads,
          .shared_bytes = HopperShared::kBytes,
          .stream = stream},
         g);
}

}  // namespace lapidary::cuda
