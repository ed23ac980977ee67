// moe_route in one launch: the norm, the logits of all experts in float32, and the choice.
//
// The router's inputs are never rounded, yet its products run on tensor cores: z = h * scale, a
// float with 24 significant bits, is the sum of three bf16 with 8 bits each (round, subtract,
// repeat: every step is exact), and products of bf16 are exact in the float32 sums of mma. The
// three parts are summed apart and added from the smallest. As the norm is one factor a token, it
// is applied to the finished logits, and the sum of squares is taken from the same read of h.
//
// A block takes a tile of 8, 16 or 64 tokens and a slice of 256 k: it splits its part of h into
// shared memory, while each of its warps already has the slice of 16 experts under way into
// registers. Its sums go to the workspace; the last block of a tile to finish (a counter that
// wraps, so that a replayed graph finds it at zero) adds the slices in their order, and each of
// its warps chooses for one token after the other: 4 logits a lane, top_k rounds of two warp
// reductions on keys that sort like the logits (NaN below all else).
//
// Arithmetic for 26B (128 experts, hidden 2816: 11 slices; 0.7 MB of weights): one token is 11
// blocks with 64 KiB under way each, one trip to memory, then one through L2 for 11 x 512 bytes.
// 256 tokens are 176 blocks of 64 + 16 KiB: 14 MB from L2 (2 us at 7 TB/s, two blocks a
// multiprocessor), 0.6 GFLOP (1 us), 90 KB of partial sums a tile. 8192 tokens are 1408 blocks of
// 64 + 64 KiB: 180 MB from L2, 18 GFLOP, 46 MB of partial sums written and read: about 60 us.
#include "kernels/check.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda_limits.h"
#include "kernels/cuda_memory.h"

namespace lapidary::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kWarpExperts = 16;
static_assert(kMaxExperts == kWarps * kWarpExperts);
constexpr int kMaxTopK = kWarpSize;
static_assert(kMaxChosen <= kMaxTopK);
constexpr int kSlice = kRouteSlice;  // k of a block: 8 of each lane
constexpr int kSteps = kSlice / 32;
constexpr int kParts = 3;
constexpr int kMaxTiles = 4096;

// Blocks of a tile that are done; 0 between launches.
__device__ unsigned n_done[kMaxTiles];

struct Route {
  const float* h;                 // [n, hidden]
  const float* scale;             // [hidden]
  const bf16* proj;               // [n_experts, hidden]
  const float* per_expert_scale;  // [n_experts]
  float* sums;                    // [n_slices, n, n_experts]
  float* squares;                 // [n_slices, n]
  int* experts;                   // [n, top_k]
  float* weights;                 // [n, top_k]
  int n, hidden, n_experts, n_slices, top_k;
  float eps;
};

// Where 8 k of a part of a token lie in shared memory, in elements. Lanes of one read differ in
// the parity of the token and in four neighbouring chunks: all banks.
template <int kTokens>
__device__ __forceinline__ int part_offset(int part, int token, int chunk) {
  return (part * kTokens + token) * kSlice + (chunk ^ token % 2 * 4) * 8;
}

// Splits the slice of token `token` of the tile (`row` of h; none: zeros), one warp.
template <int kTokens>
__device__ __forceinline__ void split_token(const Route& r, bf16* parts, int token, int row,
                                            const Float8& scale) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int k = static_cast<int>(blockIdx.x) * kSlice + lane * 8;
  Float8 h{};
  if (row < r.n && k < r.hidden) h = load8(r.h + int64_t{row} * r.hidden + k);
  float squares = 0.0F;
  Float8 rest;
  for (int i = 0; i < 8; ++i) {
    squares += h.v[i] * h.v[i];
    rest.v[i] = h.v[i] * scale.v[i];
  }
#pragma unroll
  for (int part = 0; part < kParts; ++part) {
    const Bits128 bits = pack8(rest);
    store16(parts + part_offset<kTokens>(part, token, lane), bits);
    const Float8 taken = unpack8(bits);
    for (int i = 0; i < 8; ++i) rest.v[i] -= taken.v[i];
  }
  squares = warp_sum(squares);
  if (lane == 0 && row < r.n) r.squares[int64_t{blockIdx.x} * r.n + row] = squares;
}

struct SliceWeights {
  Bits128 low[kSteps], high[kSteps];  // experts lane / 4 and lane / 4 + 8 of the warp
};

__device__ __forceinline__ SliceWeights load_weights(const Route& r, int first_expert) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int expert = first_expert + lane / 4;
  SliceWeights w;
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const int k = static_cast<int>(blockIdx.x) * kSlice + s * 32 + lane % 4 * 8;
    w.low[s] = w.high[s] = Bits128{};
    if (k >= r.hidden) continue;
    if (expert < r.n_experts) w.low[s] = load16(r.proj + int64_t{expert} * r.hidden + k);
    if (expert + 8 < r.n_experts) w.high[s] = load16(r.proj + int64_t{expert + 8} * r.hidden + k);
  }
  return w;
}

// The slice's sums of 16 experts and 8 tokens, as mma leaves them.
template <int kTokens>
__device__ __forceinline__ void slice_sums(float (&sums)[4], const SliceWeights& w,
                                           const bf16* parts, int first_token) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float part_sums[kParts][4] = {};
#pragma unroll
  for (int s = 0; s < kSteps; ++s) {
    const auto& low = w.low[s].word;
    const auto& high = w.high[s].word;
    const uint32_t a[2][4] = {{low[0], high[0], low[1], high[1]},
                              {low[2], high[2], low[3], high[3]}};
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const Bits128 z =
          load16(parts + part_offset<kTokens>(part, first_token + lane / 4, s * 4 + lane % 4));
      const uint32_t b[2][2] = {{z.word[0], z.word[1]}, {z.word[2], z.word[3]}};
      mma_bf16(part_sums[part], a[0], b[0]);
      mma_bf16(part_sums[part], a[1], b[1]);
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) sums[i] = part_sums[2][i] + part_sums[1][i] + part_sums[0][i];
}

// Keys sort like floats; NaN is 1, below all numbers, and 0 is below NaN. -0 equals 0.
__device__ __forceinline__ unsigned sort_key(float x) {
  const unsigned bits = __float_as_uint(x + 0.0F);
  if (x != x) return 1U;
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ __forceinline__ float key_value(unsigned key) {  // of NaN's key: NaN
  return __uint_as_float((key >> 31) != 0 ? key & 0x7fffffffU : ~key);
}

// One warp: the experts and weights of a token from its finished slices.
__device__ __forceinline__ void choose(const Route& r, int64_t token) {
  constexpr int kMine = kMaxExperts / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  float logits[kMine] = {};
  float squares = 0.0F;
#pragma unroll 4
  for (int s = 0; s < r.n_slices; ++s) {
    const int64_t row = int64_t{s} * r.n + token;
    squares += r.squares[row];
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int expert = lane + i * kWarpSize;
      if (expert < r.n_experts) logits[i] += r.sums[row * r.n_experts + expert];
    }
  }
  const float inverse_rms = 1.0F / sqrtf(squares / static_cast<float>(r.hidden) + r.eps);
  unsigned keys[kMine];
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    keys[i] = lane + i * kWarpSize < r.n_experts ? sort_key(logits[i] * inverse_rms) : 0U;
  }

  int my_expert = 0;  // of place `lane`
  float my_logit = 0.0F;
  float best_logit = 0.0F;
  for (int j = 0; j < r.top_k; ++j) {
    unsigned key = 0;
#pragma unroll
    for (int i = 0; i < kMine; ++i) key = max(key, keys[i]);
    const unsigned best = __reduce_max_sync(kAllLanes, key);
    unsigned expert = kMaxExperts;
#pragma unroll
    for (int i = kMine - 1; i >= 0; --i) {
      if (keys[i] == best) expert = static_cast<unsigned>(lane + i * kWarpSize);
    }
    expert = __reduce_min_sync(kAllLanes, expert);
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      if (expert == static_cast<unsigned>(lane + i * kWarpSize)) keys[i] = 0U;
    }
    if (j == 0) best_logit = key_value(best);
    if (lane == j) {
      my_expert = static_cast<int>(expert);
      my_logit = key_value(best);
    }
  }
  const float p = lane < r.top_k ? expf(my_logit - best_logit) : 0.0F;
  const float sum = warp_sum(p);
  if (lane < r.top_k) {
    r.experts[token * r.top_k + lane] = my_expert;
    r.weights[token * r.top_k + lane] = p / sum * r.per_expert_scale[my_expert];
  }
}

template <int kTokens>
__global__ __launch_bounds__(kThreads, 2) void route_kernel(Route r) {
  DYNAMIC_SHARED(bf16, parts);  // [kParts, kTokens, kSlice]
  __shared__ bool is_last;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_token = static_cast<int>(blockIdx.y) * kTokens;
  const int first_expert = warp * kWarpExperts;

  const SliceWeights weights = load_weights(r, first_expert);
  const int k = static_cast<int>(blockIdx.x) * kSlice + lane * 8;
  const Float8 scale = k < r.hidden ? load8(r.scale + k) : Float8{};
  for (int token = warp; token < kTokens; token += kWarps) {
    split_token<kTokens>(r, parts, token, first_token + token, scale);
  }
  __syncthreads();

  if (first_expert < r.n_experts) {
#pragma unroll 1  // three chains of mma a warp are enough, and registers are not
    for (int tile = 0; tile < kTokens; tile += 8) {
      float sums[4];
      slice_sums<kTokens>(sums, weights, parts, tile);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int expert = first_expert + lane / 4 + i / 2 * 8;
        const int token = first_token + tile + lane % 4 * 2 + i % 2;
        if (expert >= r.n_experts || token >= r.n) continue;
        r.sums[(int64_t{blockIdx.x} * r.n + token) * r.n_experts + expert] = sums[i];
      }
    }
  }

  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const auto n_blocks = static_cast<unsigned>(r.n_slices);
    is_last = atomicInc(&n_done[blockIdx.y], n_blocks - 1) == n_blocks - 1;
  }
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  for (int token = first_token + warp; token < min(first_token + kTokens, r.n); token += kWarps) {
    choose(r, token);
  }
}

template <int kTokens>
void launch_route(const Route& r, cudaStream_t stream) {
  const auto n_tiles = static_cast<unsigned>(div_up(r.n, kTokens));
  CHECK(n_tiles <= kMaxTiles);
  launch(route_kernel<kTokens>,
         {.grid = dim3(static_cast<unsigned>(r.n_slices), n_tiles),
          .block = kThreads,
          .shared_bytes = size_t{kParts} * kTokens * kSlice * sizeof(bf16),
          .stream = stream},
         r);
}

}  // namespace

void CudaBackend::moe_route(const MoeRouteArgs& args) {
  const Weight& w = *args.proj;
  const int64_t n = args.h.dim(0);
  CHECK(w.form == WeightForm::stacked && w.dtype == DType::bf16 && w.count == 1);
  CHECK(w.rows <= kMaxExperts && w.cols % 8 == 0);
  CHECK(args.top_k >= 1 && args.top_k <= w.rows && args.top_k <= kMaxTopK);
  expect_shape(args.h, DType::f32, {n, w.cols});
  expect_shape(args.scale, DType::f32, {w.cols});
  expect_shape(args.per_expert_scale, DType::f32, {w.rows});
  expect_shape(args.experts, DType::i32, {n, args.top_k});
  expect_shape(args.weights, DType::f32, {n, args.top_k});
  if (n == 0) return;
  workspace_.clear();
  const int64_t n_slices = div_up(w.cols, kSlice);
  const Route r{.h = args.h.as<float>(),
                .scale = args.scale.as<float>(),
                .proj = static_cast<const bf16*>(w.buffer.data()),
                .per_expert_scale = args.per_expert_scale.as<float>(),
                .sums = workspace_.take<float>(n_slices * n * w.rows),
                .squares = workspace_.take<float>(n_slices * n),
                .experts = args.experts.as<int>(),
                .weights = args.weights.as<float>(),
                .n = static_cast<int>(n),
                .hidden = static_cast<int>(w.cols),
                .n_experts = static_cast<int>(w.rows),
                .n_slices = static_cast<int>(n_slices),
                .top_k = args.top_k,
                .eps = args.eps};
  if (n <= 64) {
    launch_route<8>(r, stream_);
  } else if (n <= 256) {
    launch_route<16>(r, stream_);
  } else {
    launch_route<64>(r, stream_);
  }
}

}  // namespace lapidary::cuda
