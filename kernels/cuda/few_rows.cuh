// A strip of 16 weight rows times a few tokens, at the speed at which weights come from memory.
//
// The weights are A of mma m16n8k16, so a strip is 16 weight rows, and 8 tokens are B. Which k of
// the matrices an mma's k stands for is free as long as A and B agree; a lane therefore takes 16
// neighbouring bytes (8 k) of its two weight rows and of its token, and feeds two mmas with them:
// no shared memory, no ldmatrix, nothing but 16-byte loads, each byte of the weights read once.
// The warps of a block take the steps of 32 k in turn (the block's reads of a row are
// neighbours in memory) and their sums are added in the order of the warps.
//
// The first weights are on their way before the grid before this one is done; x is read after.
//
// A token is one column of the mma, and columns do not meet: its result depends on no other token,
// nor on how many there are.
#pragma once

#include "kernels/cuda/lanes.cuh"

namespace lapidary::cuda {

constexpr int kStripRows = 16;
constexpr int kStripTokens = 8;  // of one tile of tokens
constexpr int kStripStep = 32;   // k of one step of a warp
constexpr int kStripWarps = 8;
constexpr int kStripThreads = kStripWarps * kWarpSize;
constexpr int kStripSums = kStripRows * kStripTokens;
// Steps whose loads are under way together, as many as 128 registers hold: 8 (or 6) KiB a warp,
// 64 (48) KiB a block, two blocks a multiprocessor, where about 30 KiB cover memory's latency.
template <int kTiles>
constexpr int kStripUnroll = kTiles == 1 ? 8 : 6;

// The two weight rows of this lane, at k = 0.
struct StripRows {
  const bf16* low;   // row lane / 4
  const bf16* high;  // row lane / 4 + 8
};

// Rows beyond the matrix repeat its last one; their sums are to be dropped.
__device__ __forceinline__ StripRows strip_rows(const bf16* matrix, int64_t first, int64_t n_rows,
                                                int64_t cols) {
  const int64_t row = first + threadIdx.x % kWarpSize / 4;
  const auto clamped = [&](int64_t r) { return r < n_rows ? r : n_rows - 1; };
  return {matrix + clamped(row) * cols, matrix + clamped(row + 8) * cols};
}

__device__ __forceinline__ Bits128 load8_bf16(const bf16* x) { return load16(x); }
__device__ __forceinline__ Bits128 load8_bf16(const float* x) { return pack8(load8(x)); }

// sums += strip . tokens over the steps first_step, first_step + n_parts, ... below cols.
// tokens[i]: the row of token 8 i + lane / 4; of any other where there is none, as its column is
// dropped. cols % 8 == 0.
template <int kTiles, typename X>
__device__ __forceinline__ void strip_product(float (&sums)[kTiles][4], const StripRows& rows,
                                              const X* const (&tokens)[kTiles], int first_step,
                                              int n_parts, int cols) {
  const int lane_k = static_cast<int>(threadIdx.x) % 4 * 8;
  constexpr int kUnroll = kStripUnroll<kTiles>;
  const int stride = n_parts * kStripStep;
  for (int begin = first_step * kStripStep; begin < cols; begin += kUnroll * stride) {
    Bits128 low[kUnroll];
    Bits128 high[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int k = begin + u * stride + lane_k;
      low[u] = high[u] = Bits128{};
      if (k < cols) {
        low[u] = load_streaming(rows.low + k);
        high[u] = load_streaming(rows.high + k);
      }
    }
    if (begin == first_step * kStripStep) after_previous_grid();
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int k = begin + u * stride + lane_k;
      const uint32_t a[2][4] = {{low[u].word[0], high[u].word[0], low[u].word[1], high[u].word[1]},
                                {low[u].word[2], high[u].word[2], low[u].word[3], high[u].word[3]}};
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        Bits128 x{};
        if (k < cols) x = load8_bf16(tokens[i] + k);
        const uint32_t b[2][2] = {{x.word[0], x.word[1]}, {x.word[2], x.word[3]}};
        mma_bf16(sums[i], a[0], b[0]);
        mma_bf16(sums[i], a[1], b[1]);
      }
    }
  }
}

// Leaves a warp's sums of one tile in `to` [kStripSums], where strip_sum finds them.
__device__ __forceinline__ void keep_sums(float* to, const float (&sums)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i * kWarpSize + threadIdx.x % kWarpSize] = sums[i];
}

// The sum of one row of the strip and one token of the tile over n_parts warps, `stride` floats
// apart.
__device__ __forceinline__ float strip_sum(const float* kept, int row, int token, int n_parts,
                                           int stride) {
  const int at = (row / 8 * 2 + token % 2) * kWarpSize + row % 8 * 4 + token / 2;
  float sum = 0.0F;
#pragma unroll
  for (int p = 0; p < n_parts; ++p) sum += kept[p * stride + at];
  return sum;
}

}  // namespace lapidary::cuda
