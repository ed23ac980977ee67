// moe_ffn: the chosen experts of every token, two ways.
//
// Up to 8 tokens: no permutation, two launches of few_rows.cuh's strips. The first takes a pair
// (token, j) and a strip of gate_up, the pairs of one expert together as the columns of one mma:
// each weight is read once. The second takes a token and a strip of down: its warps share out the
// top_k experts, whose sums are added in float32 in the order of j and written once.
//
// More tokens: four launches. Pairs are sorted by expert on the device; grouped_gemm.cuh multiplies
// by gate_up (GeGLU is its epilogue) and by down; the last launch adds a token's top_k results in
// the order of j. Those results are stored as bf16: one more rounding, of a part of the sum, for
// half the bytes of the only large intermediate. The tile of tokens follows from the average an
// expert gets, which the host knows; the grids are bounds, so a recorded step fits any routing. A
// token's result depends on its own inputs alone, whatever the tile (all sum k in the same order).
//
// Arithmetic for 26B (128 experts of 2816 x 704, top 8; an expert is 11.9 MB) at 4.3 TB/s:
//   1 token: 63 MB of gate_up in 704 blocks, 32 MB of down in 176: 14.8 + 7.4 us, and two launches
//     of two dependent trips to memory (the expert's number, then its weights).
//   8 tokens: about 52 experts, 143 us. 16: 82 experts, 228 us. From 64 on nearly all, 354 us.
//   256 tokens: 1.5 GB, 354 us, in tiles of 32: 1408 blocks, then 2816, three a multiprocessor with
//     120 KiB under way. Sorting and adding move 23 MB.
//   8192 tokens: 779 GFLOP, 0.99 ms at 790 TFLOP/s, which is wgmma's; mma.sync reaches 63 % of it
//     on Hopper (Luo et al., Dissecting the NVIDIA Hopper Architecture, 2024): 1.57 ms. Tiles of
//     256 rows x 128 tokens move a byte from L2 per 85 FLOP (5.8 TB/s at 500 TFLOP/s), and 88 KB a
//     step through shared memory in the 840 clocks of its mmas, which could carry 107 KB. Warps
//     whose 64 tokens are all beyond the tile rest, so that uneven experts waste 6 %. The sum
//     writes and reads 2 x 369 + 46 MB: 180 us.
//   Workspace: (ffn + hidden) * 2 bytes a pair, 461 MB for 8192 tokens.
#include <algorithm>

#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/few_rows.cuh"
#include "kernels/cuda/grouped_gemm.cuh"
#include "kernels/cuda/hopper_grouped_gemm.h"

namespace lapidary::cuda {
namespace {

constexpr int kMaxTopK = 8;
static_assert(kMaxTopK == kMaxChosen);
constexpr int kMaxFewTokens = kStripTokens;

struct Moe {
  const bf16* x;         // [n, hidden]
  const int* experts;    // [n, top_k], distinct in a row
  const float* weights;  // [n, top_k]
  const bf16* gate_up;   // [n_experts, 2 * ffn, hidden]
  const bf16* down;      // [n_experts, hidden, ffn]
  bf16* between;         // [n * top_k, ffn]
  bf16* out;             // [n, hidden]
  int n, top_k, n_experts, hidden, ffn;
};

// --- few tokens ---

// The pairs of the same expert, as bits of two words: pair i is bit i % 32 of word i / 32.
struct PairSet {
  unsigned word[2];

  __device__ int nth(int n) const {  // -1: none
    for (int half = 0; half < 2; ++half) {
      unsigned left = word[half];
      const int count = __popc(left);
      if (n >= count) {
        n -= count;
        continue;
      }
      for (; n > 0; --n) left &= left - 1;
      return half * kWarpSize + __ffs(static_cast<int>(left)) - 1;
    }
    return -1;
  }
};

__device__ __forceinline__ PairSet pairs_of(const int* experts, int n_pairs, int expert) {
  PairSet set;
  for (int half = 0; half < 2; ++half) {
    const int pair = half * kWarpSize + static_cast<int>(threadIdx.x) % kWarpSize;
    set.word[half] = __ballot_sync(kAllLanes, pair < n_pairs && experts[pair] == expert);
  }
  return set;
}

// One block a strip of gate_up (8 outputs) and a pair. The first pair of an expert does the work
// of all of them, as the columns of one mma; the other pairs' blocks end at once.
__global__ __launch_bounds__(kStripThreads, 2) void few_gate_up_kernel(Moe m) {
  __shared__ float kept[kStripWarps][kStripSums];
  after_previous_grid();
  const int expert = m.experts[blockIdx.x];
  const PairSet pairs = pairs_of(m.experts, m.n * m.top_k, expert);
  if (pairs.nth(0) != static_cast<int>(blockIdx.x)) return;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int column_pair =
      max(pairs.nth(static_cast<int>(threadIdx.x) % kWarpSize / 4), static_cast<int>(blockIdx.x));

  const bf16* token[1] = {m.x + int64_t{column_pair / m.top_k} * m.hidden};
  float sums[1][4] = {};
  const bf16* weights = m.gate_up + int64_t{expert} * 2 * m.ffn * m.hidden;
  strip_product(sums, strip_rows(weights, int64_t{blockIdx.y} * kStripRows, 2 * m.ffn, m.hidden),
                token, warp, kStripWarps, m.hidden);
  keep_sums(kept[warp], sums[0]);
  __syncthreads();

  constexpr int kOutputs = kStripRows / 2;
  if (threadIdx.x >= kOutputs * kStripTokens) return;
  const int output = static_cast<int>(threadIdx.x) % kOutputs;
  const int column = static_cast<int>(threadIdx.x) / kOutputs;
  const int pair = pairs.nth(column);
  if (pair < 0) return;
  const float gate = strip_sum(kept[0], output, column, kStripWarps, kStripSums);
  const float up = strip_sum(kept[0], output + 8, column, kStripWarps, kStripSums);
  m.between[int64_t{pair} * m.ffn + int64_t{blockIdx.y} * kOutputs + output] =
      from_float<bf16>(gelu_tanh(gate) * up);
}

// One block a token and a strip of down: its warps share out the top_k experts, and each expert's
// k where there are more warps.
__global__ __launch_bounds__(kStripThreads, 2) void few_down_kernel(Moe m) {
  __shared__ float kept[kStripWarps][kStripSums];
  after_previous_grid();
  const int64_t token = blockIdx.x;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int n_parts = kStripWarps / m.top_k;  // of an expert
  const int j = warp / n_parts;
  if (j < m.top_k) {
    const int64_t pair = token * m.top_k + j;
    const bf16* column[1] = {m.between + pair * m.ffn};
    const bf16* weights = m.down + int64_t{m.experts[pair]} * m.hidden * m.ffn;
    float sums[1][4] = {};
    strip_product(sums, strip_rows(weights, int64_t{blockIdx.y} * kStripRows, m.hidden, m.ffn),
                  column, warp % n_parts, n_parts, m.ffn);
    keep_sums(kept[warp], sums[0]);
  }
  __syncthreads();

  const int64_t output = int64_t{blockIdx.y} * kStripRows + threadIdx.x;
  if (threadIdx.x >= kStripRows || output >= m.hidden) return;
  float sum = 0.0F;
  for (int i = 0; i < m.top_k; ++i) {
    sum += m.weights[token * m.top_k + i] *
           strip_sum(kept[i * n_parts], static_cast<int>(threadIdx.x), 0, n_parts, kStripSums);
  }
  m.out[token * m.hidden + output] = from_float<bf16>(sum);
}

void run_few_tokens(const Moe& m, bool overlaps, cudaStream_t stream) {
  launch(few_gate_up_kernel,
         {.grid = dim3(m.n * m.top_k, static_cast<unsigned>(div_up(m.ffn, kStripRows / 2))),
          .block = kStripThreads,
          .stream = stream,
          .overlaps = overlaps},
         m);
  launch(few_down_kernel,
         {.grid = dim3(m.n, static_cast<unsigned>(div_up(m.hidden, kStripRows))),
          .block = kStripThreads,
          .stream = stream,
          .overlaps = overlaps},
         m);
}

// --- more tokens ---

// One block an expert: finds its pairs, in their order, and how many pairs lower experts have.
__global__ __launch_bounds__(1024) void sort_pairs_kernel(const int* experts, int n_pairs,
                                                          int* starts, int* pairs) {
  __shared__ int n_equal[kWarpSize];
  __shared__ int n_below[kWarpSize];
  const int expert = static_cast<int>(blockIdx.x);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int n_warps = static_cast<int>(blockDim.x) / kWarpSize;
  const int share = (n_pairs + static_cast<int>(blockDim.x) - 1) / static_cast<int>(blockDim.x) *
                    kWarpSize;  // of a warp
  const int begin = min(warp * share, n_pairs);
  const int end = min(begin + share, n_pairs);

  int equal = 0;
  int below = 0;
#pragma unroll 8
  for (int i = begin + lane; i < end; i += kWarpSize) {
    equal += experts[i] == expert ? 1 : 0;
    below += experts[i] < expert ? 1 : 0;
  }
  equal = __reduce_add_sync(kAllLanes, equal);
  below = __reduce_add_sync(kAllLanes, below);
  if (lane == 0) {
    n_equal[warp] = equal;
    n_below[warp] = below;
  }
  __syncthreads();
  const int start = __reduce_add_sync(kAllLanes, lane < n_warps ? n_below[lane] : 0);
  int place = start + __reduce_add_sync(kAllLanes, lane < warp ? n_equal[lane] : 0);
  if (threadIdx.x == 0) {
    starts[expert] = start;
    if (blockIdx.x == 0) starts[gridDim.x] = n_pairs;
  }
#pragma unroll 4
  for (int i = begin; i < end; i += kWarpSize) {
    const bool is_mine = i + lane < end && experts[i + lane] == expert;
    const unsigned found = __ballot_sync(kAllLanes, is_mine);
    if (is_mine) pairs[place + __popc(found & ((1U << lane) - 1))] = i + lane;
    place += __popc(found);
  }
}

// out[t] = sum over j of weights[t][j] * y[t][j], eight columns a thread.
__global__ __launch_bounds__(256) void combine_kernel(const bf16* y, const float* weights, int n,
                                                      int top_k, int hidden, bf16* out) {
  const int64_t at = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * 8;
  const int64_t token = at / hidden;
  const int64_t column = at % hidden;
  if (token >= n) return;
  Float8 sum{};
#pragma unroll 8
  for (int j = 0; j < top_k; ++j) {
    const int64_t pair = token * top_k + j;
    const Float8 part = load8(y + pair * hidden + column);
    const float weight = weights[pair];
    for (int i = 0; i < 8; ++i) sum.v[i] += weight * part.v[i];
  }
  store8(out + at, sum);
}

struct SortedPairs {
  int* starts;  // [n_experts + 1]
  int* pairs;   // [n * top_k]
};

template <typename Shape, bool is_gate_up>
void launch_gemm(const GroupedGemm& g, int64_t n_pairs, cudaStream_t stream) {
  // Each expert with pairs adds at most one tile to those that are full.
  const int64_t max_tiles = n_pairs / Shape::kTokens + std::min<int64_t>(n_pairs, g.n_experts);
  launch(grouped_gemm_kernel<Shape, is_gate_up>,
         {.grid = dim3(static_cast<unsigned>(div_up(g.rows, Shape::kRows)),
                       static_cast<unsigned>(max_tiles)),
          .block = Shape::kThreads,
          .shared_bytes = Shape::kSharedBytes,
          .stream = stream},
         g);
}

// The two products, each by launch(its operands, whether it is gate_up).
template <typename Launch>
void run_gemms(const Moe& m, const SortedPairs& sorted, bf16* y, const Launch& launch) {
  GroupedGemm g{.weights = m.gate_up,
                .x = m.x,
                .starts = sorted.starts,
                .pairs = sorted.pairs,
                .out = m.between,
                .n_experts = m.n_experts,
                .top_k = m.top_k,
                .rows = 2 * m.ffn,
                .cols = m.hidden,
                .n_out = m.ffn};
  launch(g, true);
  g.weights = m.down;
  g.x = m.between;
  g.out = y;
  g.rows = g.n_out = m.hidden;
  g.cols = m.ffn;
  launch(g, false);
}

template <typename Shape>
void run_portable_gemms(const Moe& m, const SortedPairs& sorted, bf16* y, cudaStream_t stream) {
  run_gemms(m, sorted, y, [&](const GroupedGemm& g, bool is_gate_up) {
    const int64_t n_pairs = int64_t{m.n} * m.top_k;
    if (is_gate_up) {
      launch_gemm<Shape, true>(g, n_pairs, stream);
    } else {
      launch_gemm<Shape, false>(g, n_pairs, stream);
    }
  });
}

// n_hopper: multiprocessors of a GPU whose kernels for Hopper are to be taken; 0: portable ones.
void run_many_tokens(const Moe& m, int n_hopper, Workspace& workspace, cudaStream_t stream) {
  const int64_t n_pairs = int64_t{m.n} * m.top_k;
  const SortedPairs sorted{workspace.take<int>(m.n_experts + 1), workspace.take<int>(n_pairs)};
  auto* y = workspace.take<bf16>(n_pairs * m.hidden);
  launch(sort_pairs_kernel,
         {.grid = static_cast<unsigned>(m.n_experts),
          .block = n_pairs <= 4096 ? 256U : 1024U,
          .stream = stream},
         m.experts, static_cast<int>(n_pairs), sorted.starts, sorted.pairs);

  // Room for half as many again as the average expert gets, and a few: then most have one tile.
  const int64_t tokens = 4 + 3 * n_pairs / (2 * m.n_experts);
  if (tokens <= 8) {
    run_portable_gemms<GemmShape<128, 8, 64, 32, 8, 4, 3>>(m, sorted, y, stream);
  } else if (tokens <= 16) {
    run_portable_gemms<GemmShape<128, 16, 64, 32, 16, 4, 3>>(m, sorted, y, stream);
  } else if (tokens <= 32) {
    run_portable_gemms<GemmShape<128, 32, 64, 32, 32, 3, 3>>(m, sorted, y, stream);
  } else if (tokens <= 64) {
    run_portable_gemms<GemmShape<128, 64, 64, 64, 32, 4, 2>>(m, sorted, y, stream);
  } else if (n_hopper > 0) {
    run_gemms(m, sorted, y, [&](const GroupedGemm& g, bool is_gate_up) {
      launch_hopper_grouped_gemm(g, is_gate_up, n_pairs, n_hopper, stream);
    });
  } else {
    run_portable_gemms<GemmShape<256, 128, 32, 64, 64, 4, 1>>(m, sorted, y, stream);
  }
  const int64_t n_threads = int64_t{m.n} * m.hidden / 8;
  launch(combine_kernel,
         {.grid = static_cast<unsigned>(div_up(n_threads, 256)), .block = 256, .stream = stream},
         static_cast<const bf16*>(y), m.weights, m.n, m.top_k, m.hidden, m.out);
}

}  // namespace

void CudaBackend::moe_ffn(const MoeFfnArgs& args) {
  const int64_t n = args.x.dim(0);
  const int64_t hidden = args.x.dim(1);
  const int64_t top_k = args.experts.dim(1);
  const int64_t ffn = args.down->cols;
  const int64_t n_experts = args.down->count;
  CHECK(args.gate_up->form == WeightForm::gate_up && args.gate_up->dtype == DType::bf16);
  CHECK(args.gate_up->rows == 2 * ffn && args.gate_up->cols == hidden);
  CHECK(args.gate_up->count == n_experts && n_experts <= kMaxExperts);
  CHECK(args.down->form == WeightForm::stacked && args.down->dtype == DType::bf16);
  CHECK(args.down->rows == hidden && hidden % 8 == 0 && ffn % 8 == 0);
  CHECK(top_k >= 1 && top_k <= kMaxTopK && top_k <= n_experts);
  expect_shape(args.x, DType::bf16, {n, hidden});
  expect_shape(args.experts, DType::i32, {n, top_k});
  expect_shape(args.weights, DType::f32, {n, top_k});
  expect_shape(args.out, DType::bf16, {n, hidden});
  if (n == 0) return;
  workspace_.clear();
  const Moe m{.x = args.x.as<bf16>(),
              .experts = args.experts.as<int>(),
              .weights = args.weights.as<float>(),
              .gate_up = static_cast<const bf16*>(args.gate_up->buffer.data()),
              .down = static_cast<const bf16*>(args.down->buffer.data()),
              .between = workspace_.take<bf16>(n * top_k * ffn),
              .out = args.out.as<bf16>(),
              .n = static_cast<int>(n),
              .top_k = static_cast<int>(top_k),
              .n_experts = static_cast<int>(n_experts),
              .hidden = static_cast<int>(hidden),
              .ffn = static_cast<int>(ffn)};
  if (n <= kMaxFewTokens) {
    run_few_tokens(m, is_hopper(), stream_);
  } else {
    run_many_tokens(m, is_hopper() ? n_multiprocessors_ : 0, workspace_, stream_);
  }
}

}  // namespace lapidary::cuda
