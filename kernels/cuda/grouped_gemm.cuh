// The product of every expert's tokens with its weights in one launch, on tensor cores.
//
// Pairs (token, j) are sorted by expert: those of expert e are pairs[starts[e] .. starts[e + 1]).
// A block takes one tile of at most kTokens pairs of one expert and one panel of kRows weight rows.
// Weights are A of mma m16n8k16 (rows), tokens are B (columns), so that few tokens waste little and
// gate and up, interleaved by 8 rows, meet in one thread: GeGLU is the epilogue of the first
// product. Both operands come by cp.async through kStages stages of kDepth k, in rows of kDepth
// whose 16-byte chunks are permuted so that neither the copies nor ldmatrix meet a bank twice.
// Rows, tokens and k beyond the end are zeros that nobody reads from memory.
//
// Blocks are numbered panels first: the panels of a tile share its tokens, the tiles of an expert
// its weights, both within the time that L2 keeps them. Blocks beyond the last tile end at once;
// the grid is a bound that the host knows.
#pragma once

#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda_limits.h"

namespace lapidary::cuda {

// A block's tile and how its warps share it.
template <int rows, int tokens, int depth, int warp_rows, int warp_tokens, int stages, int blocks>
struct GemmShape {
  static constexpr int kRows = rows;
  static constexpr int kTokens = tokens;
  static constexpr int kDepth = depth;
  static constexpr int kWarpRows = warp_rows;
  static constexpr int kWarpTokens = warp_tokens;
  static constexpr int kStages = stages;
  static constexpr int kBlocks = blocks;  // of a multiprocessor, which registers must allow
  static constexpr int kRowWarps = kRows / kWarpRows;
  static constexpr int kThreads = kRowWarps * (kTokens / kWarpTokens) * kWarpSize;
  static constexpr int kStageElements = (kRows + kTokens) * kDepth;
  static constexpr int kSharedBytes = kStages * kStageElements * 2;
};

struct GroupedGemm {
  const bf16* weights;  // [n_experts, rows, cols]
  const bf16* x;        // gate_up: [n_tokens, cols]; down: [n_pairs, cols] in sorted order
  const int* starts;    // [n_experts + 1]
  const int* pairs;     // [n_pairs] token * top_k + j, sorted by expert, then by itself
  bf16* out;            // gate_up: [n_pairs, n_out] in sorted order; down: [n_pairs, n_out]
  int n_experts, top_k;
  int rows, cols, n_out;
};

struct TokenTile {
  int expert;
  int first;  // into pairs
  int count;  // 0: beyond the last tile
};

// The tile with this number. Each lane counts the tiles of kMaxExperts / 32 experts.
template <int kTokens>
__device__ __forceinline__ TokenTile find_tile(const int* starts, int n_experts, int index) {
  constexpr int kMine = kMaxExperts / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  int begin[kMine + 1];
#pragma unroll
  for (int i = 0; i <= kMine; ++i) begin[i] = starts[min(lane * kMine + i, n_experts)];
  int n_tiles = 0;
#pragma unroll
  for (int i = 0; i < kMine; ++i) n_tiles += (begin[i + 1] - begin[i] + kTokens - 1) / kTokens;
  int before = n_tiles;
#pragma unroll
  for (int step = 1; step < kWarpSize; step *= 2) {
    const int left = __shfl_up_sync(kAllLanes, before, step);
    if (lane >= step) before += left;
  }
  before -= n_tiles;
  const unsigned found = __ballot_sync(kAllLanes, index >= before && index < before + n_tiles);
  if (found == 0) return {};
  TokenTile mine{};
  int tile = index - before;
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const int n = begin[i + 1] - begin[i];
    const int tiles = (n + kTokens - 1) / kTokens;
    if (tile >= 0 && tile < tiles) {
      mine = {lane * kMine + i, begin[i] + tile * kTokens, min(kTokens, n - tile * kTokens)};
    }
    tile -= tiles;
  }
  const int owner = __ffs(static_cast<int>(found)) - 1;
  return {__shfl_sync(kAllLanes, mine.expert, owner), __shfl_sync(kAllLanes, mine.first, owner),
          __shfl_sync(kAllLanes, mine.count, owner)};
}

// Where chunk `chunk` (8 elements) of a stage's row lies, in elements from the stage's begin.
template <int kDepth>
__device__ __forceinline__ int chunk_offset(int row, int chunk) {
  static_assert(kDepth == 64 || kDepth == 32);
  const int turn = kDepth == 64 ? row % 8 : row / 2 % 4;
  return row * kDepth + (chunk ^ turn) * 8;
}

// Brings the stages of one block. A thread always brings the same chunk of the same rows.
template <typename Shape>
class StageLoader {
 public:
  template <typename TokenRow>
  __device__ StageLoader(const GroupedGemm& m, int64_t first_row, int expert, TokenRow token_row)
      : weights_(m.weights + (int64_t{expert} * m.rows + first_row + row()) * m.cols + 8 * chunk()),
        row_stride_(int64_t{kRowsAtOnce} * m.cols),
        rows_left_(m.rows - static_cast<int>(first_row) - row()),
        k_left_(m.cols - 8 * chunk()) {
#pragma unroll
    for (int i = 0; i < kTokenCopies; ++i) {
      const bf16* from = token_row(row() + i * kRowsAtOnce);
      tokens_[i] = from == nullptr ? nullptr : from + 8 * chunk();
    }
  }

  __device__ __forceinline__ void load(bf16* stage, int k) const {
    const bool in_k = k < k_left_;
#pragma unroll
    for (int i = 0; i < Shape::kRows / kRowsAtOnce; ++i) {
      const int n_read = in_k && i * kRowsAtOnce < rows_left_ ? 16 : 0;
      const bf16* from = n_read == 0 ? weights_ : weights_ + i * row_stride_ + k;
      async_copy16(stage + chunk_offset<Shape::kDepth>(row() + i * kRowsAtOnce, chunk()), from,
                   n_read);
    }
    bf16* tokens = stage + Shape::kRows * Shape::kDepth;
#pragma unroll
    for (int i = 0; i < kTokenCopies; ++i) {
      const int at = row() + i * kRowsAtOnce;
      if (Shape::kTokens % kRowsAtOnce != 0 && at >= Shape::kTokens) break;
      const int n_read = in_k && tokens_[i] != nullptr ? 16 : 0;
      async_copy16(tokens + chunk_offset<Shape::kDepth>(at, chunk()),
                   n_read == 0 ? weights_ : tokens_[i] + k, n_read);
    }
  }

 private:
  static constexpr int kChunks = Shape::kDepth / 8;
  static constexpr int kRowsAtOnce = Shape::kThreads / kChunks;
  static constexpr int kTokenCopies = (Shape::kTokens + kRowsAtOnce - 1) / kRowsAtOnce;
  static_assert(Shape::kRows % kRowsAtOnce == 0);

  static __device__ int row() { return static_cast<int>(threadIdx.x) / kChunks; }
  static __device__ int chunk() { return static_cast<int>(threadIdx.x) % kChunks; }

  const bf16* weights_;
  int64_t row_stride_;
  int rows_left_, k_left_;
  const bf16* tokens_[kTokenCopies];
};

template <typename Shape>
struct WarpSums {
  static constexpr int kRowTiles = Shape::kWarpRows / 16;
  static constexpr int kTokenTiles = Shape::kWarpTokens / 8;
  float v[kRowTiles][kTokenTiles][4];
};

// sums += the warp's part of one stage.
template <typename Shape>
__device__ __forceinline__ void multiply_stage(WarpSums<Shape>& sums, const bf16* stage,
                                               int warp_row, int warp_token) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const bf16* tokens = stage + Shape::kRows * Shape::kDepth;
#pragma unroll
  for (int k = 0; k < Shape::kDepth; k += 32) {
    uint32_t b[WarpSums<Shape>::kTokenTiles][4];  // 32 k of 8 tokens
#pragma unroll
    for (int j = 0; j < WarpSums<Shape>::kTokenTiles; ++j) {
      ldmatrix_x4(b[j], tokens + chunk_offset<Shape::kDepth>(warp_token + 8 * j + lane % 8,
                                                             k / 8 + lane / 8));
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int i = 0; i < WarpSums<Shape>::kRowTiles; ++i) {
        uint32_t a[4];
        ldmatrix_x4(a, stage + chunk_offset<Shape::kDepth>(warp_row + 16 * i + lane % 16,
                                                           k / 8 + 2 * half + lane / 16));
#pragma unroll
        for (int j = 0; j < WarpSums<Shape>::kTokenTiles; ++j) {
          const uint32_t tile[2] = {b[j][2 * half], b[j][2 * half + 1]};
          mma_bf16(sums.v[i][j], a, tile);
        }
      }
    }
  }
}

// The warp's outputs, rounded, to `staged` [kTokens, pitch].
template <typename Shape, bool is_gate_up>
__device__ __forceinline__ void stage_outputs(bf16* staged, int pitch, const WarpSums<Shape>& sums,
                                              int warp_row, int warp_token) {
  const int group = static_cast<int>(threadIdx.x) % kWarpSize / 4;
  const int pair = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
  for (int i = 0; i < WarpSums<Shape>::kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < WarpSums<Shape>::kTokenTiles; ++j) {
      const float(&c)[4] = sums.v[i][j];
      bf16* to = staged + (warp_token + 8 * j + pair) * pitch;
      if constexpr (is_gate_up) {
        to += (warp_row + 16 * i) / 2 + group;
        to[0] = from_float<bf16>(gelu_tanh(c[0]) * c[2]);
        to[pitch] = from_float<bf16>(gelu_tanh(c[1]) * c[3]);
      } else {
        to += warp_row + 16 * i + group;
        to[0] = from_float<bf16>(c[0]);
        to[pitch] = from_float<bf16>(c[1]);
        to[8] = from_float<bf16>(c[2]);
        to[pitch + 8] = from_float<bf16>(c[3]);
      }
    }
  }
}

// is_gate_up: x rows are gathered by token and out is in sorted order; otherwise x is in sorted
// order and out goes back to the pairs' own places.
template <typename Shape, bool is_gate_up>
__global__ __launch_bounds__(Shape::kThreads,
                             Shape::kBlocks) void grouped_gemm_kernel(GroupedGemm m) {
  const TokenTile tile =
      find_tile<Shape::kTokens>(m.starts, m.n_experts, static_cast<int>(blockIdx.y));
  if (tile.count == 0) return;
  DYNAMIC_SHARED(bf16, shared);
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int warp_row = warp % Shape::kRowWarps * Shape::kWarpRows;
  const int warp_token = warp / Shape::kRowWarps * Shape::kWarpTokens;
  const int first_row = static_cast<int>(blockIdx.x) * Shape::kRows;
  const bool has_work = first_row + warp_row < m.rows && warp_token < tile.count;

  const StageLoader<Shape> loader(m, first_row, tile.expert, [&](int i) -> const bf16* {
    if (i >= tile.count) return nullptr;
    const int row = is_gate_up ? m.pairs[tile.first + i] / m.top_k : tile.first + i;
    return m.x + int64_t{row} * m.cols;
  });
  const int n_steps = (m.cols + Shape::kDepth - 1) / Shape::kDepth;
  const auto stage_of = [&](int step) {
    return shared + step % Shape::kStages * Shape::kStageElements;
  };
  for (int step = 0; step < Shape::kStages - 1; ++step) {
    if (step < n_steps) loader.load(stage_of(step), step * Shape::kDepth);
    async_commit();
  }
  WarpSums<Shape> sums{};
  for (int step = 0; step < n_steps; ++step) {
    async_wait<Shape::kStages - 2>();
    __syncthreads();  // this stage has landed for all, and all are done with the one before
    const int next = step + Shape::kStages - 1;
    if (next < n_steps) loader.load(stage_of(next), next * Shape::kDepth);
    async_commit();
    if (has_work) multiply_stage<Shape>(sums, stage_of(step), warp_row, warp_token);
  }
  async_wait<0>();
  __syncthreads();

  // Through shared memory, as a lane holds single elements of several rows.
  constexpr int kOutputs = is_gate_up ? Shape::kRows / 2 : Shape::kRows;
  constexpr int kPitch = kOutputs + 8;
  static_assert(Shape::kTokens * kPitch * 2 <= Shape::kSharedBytes);
  if (has_work) stage_outputs<Shape, is_gate_up>(shared, kPitch, sums, warp_row, warp_token);
  __syncthreads();
  const int first_output = static_cast<int>(blockIdx.x) * kOutputs;
  for (int i = static_cast<int>(threadIdx.x); i < tile.count * (kOutputs / 8);
       i += Shape::kThreads) {
    const int token = i / (kOutputs / 8);
    const int output = i % (kOutputs / 8) * 8;
    if (first_output + output >= m.n_out) continue;
    const int row = is_gate_up ? tile.first + token : m.pairs[tile.first + token];
    store16(m.out + int64_t{row} * m.n_out + first_output + output,
            load16(shared + token * kPitch + output));
  }
}

}  // namespace lapidary::cuda
