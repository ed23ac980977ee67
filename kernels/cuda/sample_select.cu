// select_kernel of sample.cu: what a draw needs of each piece of its row.
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/sample.cuh"

namespace lapidary::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kOfThread = kPiece / kThreads;  // logits

// Element j of this thread stands at piece_begin + offset(j); ascending in j.
template <bool is_wide>
__device__ __forceinline__ int offset(int j) {
  const int thread = static_cast<int>(threadIdx.x);
  return is_wide ? (j / 4 * kThreads + thread) * 4 + j % 4 : j * kThreads + thread;
}

// What is beyond the `n` logits there or masked out is -inf. All loads are begun before the mask is
// looked at.
template <bool is_wide>
__device__ __forceinline__ void load_piece(const float* piece, int n, const uint32_t* mask,
                                           int begin, float (&x)[kOfThread]) {
  constexpr int kAtOnce = is_wide ? 4 : 1;
#pragma unroll
  for (int j = 0; j < kOfThread; ++j) x[j] = -kInfinity;
#pragma unroll
  for (int j = 0; j < kOfThread; j += kAtOnce) {
    const int at = offset<is_wide>(j);
    if (at >= n) continue;
    if constexpr (is_wide) {
      const Bits128 four = load16(piece + at);
      for (int i = 0; i < 4; ++i) x[j + i] = __uint_as_float(four.word[i]);
    } else {
      x[j] = piece[at];
    }
  }
  if (mask == nullptr) return;
  const int in_step = static_cast<int>(threadIdx.x) * kAtOnce;  // of this thread's first
  const uint32_t* words = mask + (begin + in_step) / 32;
#pragma unroll
  for (int j = 0; j < kOfThread; j += kAtOnce) {
    if (offset<is_wide>(j) >= n) continue;
    const uint32_t allowed = words[j * (kThreads / 32)] >> (in_step % 32);
    for (int i = 0; i < kAtOnce; ++i) {
      if ((allowed >> i & 1U) == 0U) x[j + i] = -kInfinity;
    }
  }
}

// The largest bound that `wanted` of the block's bids reach: so many of them, as no two are equal.
__device__ __forceinline__ Key bound_of(Key bid, int wanted) {
  Key bound = 0;
#pragma unroll 1
  for (int bit = 63; bit >= 0; --bit) {
    const Key tried = bound | Key{1} << bit;
    const int n = __syncthreads_count(static_cast<int>(bid >= tried));
    if (n >= wanted) bound = tried;
    if (n == wanted) break;
  }
  return bound;
}

template <bool is_wide>
__device__ __forceinline__ void sum_piece(const float (&x)[kOfThread], float best, PieceSum* out) {
  __shared__ float partial[2][kThreads / kWarpSize];
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const float warps_best = warp_max(best);
  if (threadIdx.x % kWarpSize == 0) partial[0][warp] = warps_best;
  __syncthreads();
  float max = -kInfinity;
  for (float m : partial[0]) max = fmaxf(max, m);
  float sum = 0.0F;
#pragma unroll
  for (int j = 0; j < kOfThread; ++j) {
    if (max == kInfinity) {
      sum += x[j] == kInfinity ? 1.0F : 0.0F;
    } else if (is_candidate(x[j])) {
      sum += expf(x[j] - max);
    }
  }
  sum = block_sum(sum, partial[1]);
  if (threadIdx.x == 0) *out = {max, sum};
}

// tops: [n_draws, n_pieces, kMaxShortTopK], of which the first k are written; sums: [n_draws,
// n_pieces], of the raw row.
template <bool is_wide, bool is_raw>
__global__ void __launch_bounds__(kThreads, is_wide ? 2 : 1)
    select_kernel(const DeviceDraw* draws, const float* logits, int64_t vocab, Key* tops,
                  PieceSum* sums) {
  __shared__ Key passed[kMaxShortTopK * kOfThread];
  __shared__ int n_passed;
  const DeviceDraw& draw = draws[blockIdx.y];
  if (is_raw ? !draw.wants_logprobs() : !draw.draws()) return;
  const int k = is_raw ? draw.n_top() : draw.n_kept();
  const int begin = static_cast<int>(blockIdx.x) * kPiece;
  const int n_there = static_cast<int>(vocab) - begin;
  const int64_t slot = int64_t{blockIdx.y} * gridDim.x + blockIdx.x;
  float x[kOfThread];
  load_piece<is_wide>(logits + draw.row_begin + begin, n_there, is_raw ? nullptr : draw.mask, begin,
                      x);

  float best = -kInfinity;
  int at = 0;
#pragma unroll
  for (int j = 0; j < kOfThread; ++j) {
    if (x[j] > best) {
      best = x[j];
      at = offset<is_wide>(j);
    }
  }
  if constexpr (is_raw) sum_piece<is_wide>(x, best, sums + slot);
  if (k == 0) return;
  const Key bid = is_candidate(best) ? key_of(best, begin + at) : Key{0};
  if (threadIdx.x == 0) n_passed = 0;
  const int n_bids = __syncthreads_count(static_cast<int>(bid != 0));
  if (n_bids > 0) {
    // With fewer bids than are wanted nothing is too small. Either way those who pass hold no more
    // logits than the list has places.
    const bool all_pass = n_bids < k;
    const Key bound = all_pass ? Key{1} : bound_of(bid, k);
    const float least = all_pass ? -kInfinity : value_of(bound);
    if (bid >= bound) {
#pragma unroll
      for (int j = 0; j < kOfThread; ++j) {
        if (!is_candidate(x[j]) || x[j] < least) continue;
        const Key key = key_of(x[j], begin + offset<is_wide>(j));
        if (key >= bound) passed[atomicAdd(&n_passed, 1)] = key;
      }
    }
  }
  __syncthreads();
  const int n = n_passed;
  const int n_sorted = power_of_two(n > 1 ? n : 1);
  for (int i = n + static_cast<int>(threadIdx.x); i < n_sorted; i += kThreads) passed[i] = 0;
  sort_descending(passed, n_sorted);
  for (int i = static_cast<int>(threadIdx.x); i < k; i += kThreads) {
    tops[slot * kMaxShortTopK + i] = i < n ? passed[i] : 0;
  }
}

}  // namespace

void launch_select(bool is_raw, const DeviceDraw* draws, int64_t n, const float* logits,
                   int64_t n_pieces, int64_t vocab, Key* tops, PieceSum* sums,
                   cudaStream_t stream) {
  const bool is_wide = vocab % 4 == 0;
  const auto kernel = is_raw    ? is_wide ? select_kernel<true, true> : select_kernel<false, true>
                         : is_wide ? select_kernel<true, false>
                                : select_kernel<false, false>;
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(n_pieces), static_cast<unsigned>(n)),
          .block = dim3(kThreads),
          .stream = stream},
         draws, logits, vocab, tops, sums);
}

}  // namespace lapidary::cuda
