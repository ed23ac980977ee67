// The kernel behind hopper_grouped_gemm.h: its tile, who brings it, who multiplies, what is
// written.
//
// A block stays for many tiles. Its third warpgroup fetches through a ring of kStages stages, each
// with an mbarrier that tells when it is full and one when it is empty; the first two multiply.
// Weights are a of wgmma (64 rows a block of rows) and tokens are b, as in grouped_gemm.cuh and for
// the same reasons. Weights come by TMA. Tokens do too where they lie in sorted order (down);
// where they are gathered by pair (gate_up) the warpgroup's cp.async bring them, which moves no
// byte more than TMA would, while sorting them first would write and read them once more.
//
// Both lie K-major with the 128-byte swizzle: 64 k a row, in blocks of 64 rows (8 KiB).
#pragma once

#include "kernels/cuda/grouped_gemm.cuh"
#include "kernels/cuda/ptx_hopper.cuh"

namespace lapidary::cuda {

constexpr int kHopperPanel = 256;   // weight rows of a tile
constexpr int kHopperTokens = 128;  // of a tile
constexpr int kHopperDepth = 64;    // k of a stage
constexpr int kHopperStages = 4;
constexpr int kHopperBlock = 64;  // rows of one box, and of one wgmma
constexpr int kHopperBlockBytes = kHopperBlock * kHopperDepth * 2;
constexpr int kHopperPanelBytes = kHopperPanel / kHopperBlock * kHopperBlockBytes;
constexpr int kHopperStageBytes =
    kHopperPanelBytes + kHopperTokens / kHopperBlock * kHopperBlockBytes;
constexpr int kHopperGroups = 2;  // warpgroups that multiply
constexpr int kHopperThreads = (kHopperGroups + 1) * kWarpgroupSize;
constexpr int kHopperOutputBytes = kHopperTokens * kHopperBlock * 2;  // of a warpgroup, staged
constexpr int kAtom = 1024;                                           // where stages begin
constexpr int kMultiplyRegisters = 224;
constexpr int kFetchRegisters = 56;
static_assert(kHopperGroups * kMultiplyRegisters + kFetchRegisters <=
              (kHopperGroups + 1) * kLaunchRegisters<kHopperThreads>);

struct HopperGemm {
  TensorMap weights;  // boxes of 64 k x 64 rows of one expert
  TensorMap tokens;   // down: boxes of 64 k x 64 rows of x
  GroupedGemm m;
};

// The block's shared memory.
struct HopperShared {
  unsigned char* stages;
  unsigned char* outputs;
  uint64_t *full, *empty;
  int* starts;

  static constexpr int kBytes = kAtom + kHopperStages * kHopperStageBytes +
                                kHopperGroups * kHopperOutputBytes + 2 * 8 * kHopperStages +
                                4 * (kMaxExperts + 1);

  __device__ __forceinline__ explicit HopperShared(unsigned char* memory) {
    stages = memory + (kAtom - shared_address(memory) % kAtom) % kAtom;
    outputs = stages + kHopperStages * kHopperStageBytes;
    full = reinterpret_cast<uint64_t*>(outputs + kHopperGroups * kHopperOutputBytes);
    empty = full + kHopperStages;
    starts = reinterpret_cast<int*>(empty + kHopperStages);
  }
};
static_assert(HopperShared::kBytes <= 227 * 1024);

// Where a thread stands in the ring.
struct HopperRing {
  int stage = 0;
  uint32_t parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage < kHopperStages) return;
    stage = 0;
    parity ^= 1;
  }
};

struct HopperTile {
  TokenTile tokens;  // count 0: beyond the last
  int first_row;
  int n_blocks;  // of 64 weight rows

  // Tokens that are multiplied: the tile's, and zeros.
  __device__ __forceinline__ int n_columns() const { return tokens.count > 64 ? 128 : 64; }
};

// Tiles of the same tokens are neighbours, as in grouped_gemm.cuh.
__device__ __forceinline__ HopperTile find_hopper_tile(const int* starts, const GroupedGemm& m,
                                                       int index) {
  const int n_panels = (m.rows + kHopperPanel - 1) / kHopperPanel;
  const int first_row = index % n_panels * kHopperPanel;
  const int rows = min(m.rows - first_row, kHopperPanel);
  return {find_tile<kHopperTokens>(starts, m.n_experts, index / n_panels), first_row,
          (rows + kHopperBlock - 1) / kHopperBlock};
}

// --- fetching ---

// The rows of x that a thread brings: the same chunk (16 bytes) of every sixteenth.
class HopperGather {
 public:
  __device__ HopperGather(const GroupedGemm& m, const TokenTile& tile, int thread)
      : first_(thread / kChunks), chunk_(thread % kChunks) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_ + i * kRowsAtOnce;
      token_[i] = row < tile.count ? m.pairs[tile.first + row] / m.top_k : -1;
    }
  }

  // Zeros where there is no token, and behind the last k.
  __device__ __forceinline__ void load(const GroupedGemm& m, unsigned char* to, int k,
                                       int n_columns) const {
    const int column = k + 8 * chunk_;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const int row = first_ + i * kRowsAtOnce;
      if (row >= n_columns) break;
      const bool is_there = token_[i] >= 0 && column < m.cols;
      const bf16* from = is_there ? m.x + int64_t{token_[i]} * m.cols + column : m.x;
      async_copy16(to + (row * kChunks + (chunk_ ^ row % 8)) * 16, from, is_there ? 16 : 0);
    }
  }

 private:
  static constexpr int kChunks = kHopperDepth / 8;
  static constexpr int kRowsAtOnce = kWarpgroupSize / kChunks;
  static constexpr int kRows = kHopperTokens / kRowsAtOnce;

  int first_, chunk_;
  int token_[kRows];
};

// By one thread: what TMA brings of a stage.
template <bool is_gate_up>
__device__ __forceinline__ void fetch_boxes(const HopperGemm& g, const HopperTile& tile, int k,
                                            unsigned char* stage, uint64_t* full) {
  const int n_token_boxes = is_gate_up ? 0 : tile.n_columns() / kHopperBlock;
  mbarrier_arrive_expect(full, (tile.n_blocks + n_token_boxes) * kHopperBlockBytes);
  for (int i = 0; i < tile.n_blocks; ++i) {
    tma_load(stage + i * kHopperBlockBytes, g.weights, full, k, tile.first_row + i * kHopperBlock,
             tile.tokens.expert);
  }
  for (int i = 0; i < n_token_boxes; ++i) {
    tma_load(stage + kHopperPanelBytes + i * kHopperBlockBytes, g.tokens, full, k,
             tile.tokens.first + i * kHopperBlock);
  }
}

// By the third warpgroup, of which down needs one warp.
template <bool is_gate_up>
__device__ __forceinline__ void fetch_tiles(const HopperGemm& g, const HopperShared& shared) {
  const int thread = static_cast<int>(threadIdx.x) - kHopperGroups * kWarpgroupSize;
  if (!is_gate_up && thread >= kWarpSize) return;
  HopperRing ring;
  for (int index = static_cast<int>(blockIdx.x);; index += static_cast<int>(gridDim.x)) {
    const HopperTile tile = find_hopper_tile(shared.starts, g.m, index);
    if (tile.tokens.count == 0) return;
    const HopperGather gather(g.m, is_gate_up ? tile.tokens : TokenTile{}, thread);
    for (int k = 0; k < g.m.cols; k += kHopperDepth) {
      unsigned char* stage = shared.stages + ring.stage * kHopperStageBytes;
      uint64_t* full = shared.full + ring.stage;
      mbarrier_wait(shared.empty + ring.stage, ring.parity ^ 1);
      if (thread == 0) fetch_boxes<is_gate_up>(g, tile, k, stage, full);
      if constexpr (is_gate_up) {
        gather.load(g.m, stage + kHopperPanelBytes, k, tile.n_columns());
        mbarrier_arrive_after_copies(full);
      }
      __syncwarp();  // no lane waits for a phase that the others are a turn ahead of
      ring.advance();
    }
  }
}

// --- multiplying ---

// This warp has read the stage.
__device__ __forceinline__ void release_stage(const HopperShared& shared, int stage) {
  if (threadIdx.x % kWarpSize == 0) mbarrier_arrive(shared.empty + stage);
}

// sums += the warpgroup's kBlocks blocks of rows x kTokens tokens over all k.
template <int kBlocks, int kTokens, bool is_gate_up>
__device__ __forceinline__ void multiply_tile(float (&sums)[kBlocks][kTokens / 2], int n_steps,
                                              int group, const HopperShared& shared,
                                              HopperRing& ring) {
#pragma unroll
  for (int i = 0; i < kBlocks; ++i) hold_registers(sums[i]);
  for (int step = 0; step < n_steps; ++step) {
    unsigned char* stage = shared.stages + ring.stage * kHopperStageBytes;
    mbarrier_wait(shared.full + ring.stage, ring.parity);
    if constexpr (is_gate_up) fence_async_proxy();  // of what cp.async wrote
    const uint64_t tokens = k_major_tile(stage + kHopperPanelBytes, kAtom);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kHopperDepth / 16; ++k) {
#pragma unroll
      for (int i = 0; i < kBlocks; ++i) {
        const uint64_t weights =
            k_major_tile(stage + (group + i * kHopperGroups) * kHopperBlockBytes, kAtom);
        wgmma<kTokens>(sums[i], tile_at(weights, 32 * k), tile_at(tokens, 32 * k), true);
      }
    }
    wgmma_commit();
    if (step > 0) {
      wgmma_wait<1>();
      release_stage(shared, (ring.stage + kHopperStages - 1) % kHopperStages);
    }
    ring.advance();
  }
  wgmma_wait<0>();
#pragma unroll
  for (int i = 0; i < kBlocks; ++i) hold_registers(sums[i]);
  release_stage(shared, (ring.stage + kHopperStages - 1) % kHopperStages);
}

// The warp's part of a block's outputs, rounded, to `staged` [tokens][outputs], whose chunks are
// permuted so that no bank is met twice.
template <int kTokens, bool is_gate_up>
__device__ __forceinline__ void stage_block(bf16* staged, const float (&sums)[kTokens / 2]) {
  constexpr int kOutputs = is_gate_up ? kHopperBlock / 2 : kHopperBlock;
  constexpr int kAtOnce = is_gate_up ? 4 : 2;  // tiles of 8 tokens
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize % 4;
  const int matrix = lane / 8;
#pragma unroll
  for (int j = 0; j < kTokens / 8; j += kAtOnce) {
    uint32_t r[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float* c = sums + 4 * (j + (is_gate_up ? i : i / 2));
      if constexpr (is_gate_up) {
        r[i] = bf16_pair(gelu_tanh(c[0]) * c[2], gelu_tanh(c[1]) * c[3]);
      } else {
        r[i] = bf16_pair(c[i % 2 * 2], c[i % 2 * 2 + 1]);
      }
    }
    const int token = 8 * (j + (is_gate_up ? matrix : matrix / 2)) + lane % 8;
    const int chunk = is_gate_up ? warp : 2 * warp + matrix % 2;
    store_matrix_x4_transposed(staged + chunk_offset<kOutputs>(token, chunk), r);
  }
}

// Writes the tile's rows of one block of outputs, by a warpgroup.
template <bool is_gate_up>
__device__ __forceinline__ void write_block(const GroupedGemm& m, const TokenTile& tile,
                                            const bf16* staged, int first_output) {
  constexpr int kOutputs = is_gate_up ? kHopperBlock / 2 : kHopperBlock;
  constexpr int kChunks = kOutputs / 8;
  const int thread = static_cast<int>(threadIdx.x) % kWarpgroupSize;
  const int chunk = thread % kChunks;
  const int output = first_output + 8 * chunk;
  if (output >= m.n_out) return;
#pragma unroll 4
  for (int token = thread / kChunks; token < tile.count; token += kWarpgroupSize / kChunks) {
    const int row = is_gate_up ? tile.first + token : m.pairs[tile.first + token];
    store16(m.out + int64_t{row} * m.n_out + output,
            load16(staged + chunk_offset<kOutputs>(token, chunk)));
  }
}

template <int kBlocks, int kTokens, bool is_gate_up>
__device__ __forceinline__ void compute_tile(const GroupedGemm& m, const HopperTile& tile,
                                             int group, const HopperShared& shared,
                                             HopperRing& ring) {
  // Set, or the compiler keeps the registers of all sizes of tiles from one tile to the next.
  float sums[kBlocks][kTokens / 2] = {};
  const int n_steps = (m.cols + kHopperDepth - 1) / kHopperDepth;
  multiply_tile<kBlocks, kTokens, is_gate_up>(sums, n_steps, group, shared, ring);
  auto* staged = reinterpret_cast<bf16*>(shared.outputs + group * kHopperOutputBytes);
#pragma unroll
  for (int i = 0; i < kBlocks; ++i) {
    const int first_row = tile.first_row + (group + i * kHopperGroups) * kHopperBlock;
    named_barrier(1 + group, kWarpgroupSize);  // what was staged before is written
    stage_block<kTokens, is_gate_up>(staged, sums[i]);
    named_barrier(1 + group, kWarpgroupSize);
    write_block<is_gate_up>(m, tile.tokens, staged, is_gate_up ? first_row / 2 : first_row);
  }
}

// By a warpgroup that has no rows in a tile.
__device__ __forceinline__ void skip_tile(const GroupedGemm& m, const HopperShared& shared,
                                          HopperRing& ring) {
  for (int k = 0; k < m.cols; k += kHopperDepth) {
    mbarrier_wait(shared.full + ring.stage, ring.parity);
    __syncwarp();  // as in fetch_tiles
    release_stage(shared, ring.stage);
    ring.advance();
  }
}

// By warpgroup 0 or 1, which has the blocks of rows `group` and `group + 2` of each tile.
template <bool is_gate_up>
__device__ __forceinline__ void compute_tiles(const GroupedGemm& m, int group,
                                              const HopperShared& shared) {
  HopperRing ring;
  for (int index = static_cast<int>(blockIdx.x);; index += static_cast<int>(gridDim.x)) {
    const HopperTile tile = find_hopper_tile(shared.starts, m, index);
    if (tile.tokens.count == 0) return;
    const bool is_wide = tile.n_columns() == kHopperTokens;
    if (tile.n_blocks > group + kHopperGroups) {
      if (is_wide) {
        compute_tile<2, 128, is_gate_up>(m, tile, group, shared, ring);
      } else {
        compute_tile<2, 64, is_gate_up>(m, tile, group, shared, ring);
      }
    } else if (tile.n_blocks > group) {
      if (is_wide) {
        compute_tile<1, 128, is_gate_up>(m, tile, group, shared, ring);
      } else {
        compute_tile<1, 64, is_gate_up>(m, tile, group, shared, ring);
      }
    } else {
      skip_tile(m, shared, ring);
    }
  }
}

// is_gate_up as in grouped_gemm_kernel.
template <bool is_gate_up>
__global__ __launch_bounds__(kHopperThreads, 1) void hopper_grouped_gemm_kernel(
    const __grid_constant__ HopperGemm g) {
  DYNAMIC_SHARED(unsigned char, memory);
  const HopperShared shared(memory);
  if (threadIdx.x == 0) {
    prefetch_map(g.weights);
    if (!is_gate_up) prefetch_map(g.tokens);
    for (int i = 0; i < kHopperStages; ++i) {
      mbarrier_init(shared.full + i, is_gate_up ? 1 + kWarpgroupSize : 1);
      mbarrier_init(shared.empty + i, kHopperGroups * kWarpgroupSize / kWarpSize);
    }
    mbarrier_init_fence();
  }
  for (int i = static_cast<int>(threadIdx.x); i <= g.m.n_experts; i += kHopperThreads) {
    shared.starts[i] = g.m.starts[i];
  }
  __syncthreads();
  const int group = static_cast<int>(threadIdx.x) / kWarpgroupSize;
  if (group == kHopperGroups) {
    give_registers<kFetchRegisters>();
    fetch_tiles<is_gate_up>(g, shared);
  } else {
    take_registers<kMultiplyRegisters>();
    compute_tiles<is_gate_up>(g.m, group, shared);
  }
}

}  // namespace lapidary::cuda
