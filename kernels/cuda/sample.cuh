// What the launches of CudaBackend::sample share: a draw as it lies on the device, candidates as
// sortable keys, and the choice from a sorted list.
#pragma once

#include <limits>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/philox.cuh"
#include "kernels/cuda_memory.h"
#include "kernels/sample.h"

namespace lapidary::cuda {

// Candidates that a piece of a row may keep: top_k up to here takes the short way.
constexpr int kMaxShortTopK = 64;
// The CPU's: up to here what top_k leaves is sorted and drawn from in its order.
constexpr int kMaxSortedTopK = 1024;

// Logits of a row that one block takes at once.
constexpr int kPiece = kSampledPiece;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A SampleDraw with its lists, on the device.
struct DeviceDraw {
  int64_t row_begin;     // where its row of the logits begins
  const uint32_t* mask;  // null: all are allowed
  const TokenCount* counts;
  const TokenBias* biases;
  const int32_t* banned;
  float* raw;           // [n_counts + n_biases + n_banned]: the logits before they were edited
  double max_distance;  // from the largest logit, as min_p and temperature say; or infinite
  uint64_t seed;
  int64_t position;
  int32_t n_counts, n_biases, n_banned;
  uint32_t choice;
  float temperature, top_p;
  float presence_penalty, frequency_penalty, repetition_penalty;
  int32_t top_k, n_logprobs, scored;
  int32_t result;  // where its answer goes

  __host__ __device__ bool draws() const { return scored < 0; }
  __host__ __device__ bool wants_logprobs() const { return scored >= 0 || n_logprobs >= 0; }
  __host__ __device__ bool is_edited() const { return n_counts + n_biases + n_banned > 0; }
  __host__ __device__ bool is_greedy() const { return temperature <= 0.0F; }
  // What the pieces' candidates alone do not decide.
  __host__ __device__ bool is_long() const {
    return draws() && !is_greedy() && (top_k <= 0 || top_k > kMaxShortTopK);
  }
  // Candidates that select_kernel keeps of the edited row, and of the row as it came.
  __host__ __device__ int n_kept() const { return is_greedy() || is_long() ? 1 : top_k; }
  __host__ __device__ int n_top() const { return n_logprobs > 0 ? n_logprobs : 0; }
};

static_assert(sizeof(DeviceDraw) <= kDrawBytes);

struct DeviceAnswer {
  int32_t token;
  float logprob;
  int32_t n_top;
};

// --- candidates ---

// A candidate as one number: larger values are larger, of equal values the lower id is. 0: none.
using Key = unsigned long long;

__device__ __forceinline__ bool is_candidate(float x) { return x > -kInfinity; }  // no NaN

// REQUIRES: is_candidate(x).
__device__ __forceinline__ Key key_of(float x, int32_t id) {
  const uint32_t bits = x == 0.0F ? 0U : __float_as_uint(x);  // -0 equals 0
  const uint32_t ordered = bits ^ ((bits >> 31) != 0U ? 0xffffffffU : 0x80000000U);
  return Key{ordered} << 32 | ~static_cast<uint32_t>(id);
}
__device__ __forceinline__ float value_of(Key key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return __uint_as_float(ordered ^ ((ordered >> 31) != 0U ? 0x80000000U : 0xffffffffU));
}
__device__ __forceinline__ int32_t id_of(Key key) {
  return static_cast<int32_t>(~static_cast<uint32_t>(key));
}

// Whether bit `id` of a mask is set.
__device__ __forceinline__ bool allows(const uint32_t* mask, int64_t id) {
  return mask == nullptr || (mask[id / 32] >> (id % 32) & 1U) != 0U;
}

// The power of two at or above n >= 1.
__host__ __device__ inline int power_of_two(int64_t n) {
  int power = 1;
  while (power < n) power *= 2;
  return power;
}

// Largest first, by the whole block; n is a power of two. `keys` is in shared memory, written
// before and read after by any thread.
__device__ inline void sort_descending(Key* keys, int n) {
  const int thread = static_cast<int>(threadIdx.x);
  const int n_threads = static_cast<int>(blockDim.x);
  __syncthreads();
  for (int size = 2; size <= n; size *= 2) {
    for (int step = size / 2; step > 0; step /= 2) {
      for (int i = thread; i < n / 2; i += n_threads) {
        const int low = 2 * i - (i & (step - 1));
        const int high = low + step;
        const bool is_descending = (low & size) == 0;
        const Key a = keys[low];
        const Key b = keys[high];
        if ((a < b) == is_descending) {
          keys[low] = b;
          keys[high] = a;
        }
      }
      __syncthreads();
    }
  }
}

// The draw from the n first candidates in their order, as the CPU's: weights, top_p and min_p in
// double. `keys` and `weights` [n] are in shared memory; thread 0 gets the token. n >= 1.
__device__ inline int32_t draw_from_sorted(const DeviceDraw& draw, const Key* keys, int n,
                                           double* weights) {
  const float first = value_of(keys[0]);
  const bool is_infinite = first == kInfinity;  // then such candidates alone, all alike
  const double max = is_infinite ? 0.0 : static_cast<double>(first);
  const auto distance_of = [&](int i) {
    const float value = value_of(keys[i]);
    if (!is_infinite) return max - static_cast<double>(value);
    return value == kInfinity ? 0.0 : static_cast<double>(kInfinity);
  };
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    weights[i] = exp(-distance_of(i) / static_cast<double>(draw.temperature));
  }
  __syncthreads();
  if (threadIdx.x != 0) return 0;
  double mass = 0.0;
  for (int i = 0; i < n; ++i) mass += weights[i];
  const double wanted = draw.top_p < 1.0F ? static_cast<double>(draw.top_p) * mass : mass;
  int n_kept = 0;
  double kept = 0.0;
  while (n_kept < n && (n_kept == 0 || kept < wanted) && distance_of(n_kept) <= draw.max_distance) {
    kept += weights[n_kept++];
  }
  double target = uniform(draw.seed, draw.choice, draw.position) * kept;
  int reached = 0;
  for (int i = 0; i < n_kept; ++i) {
    if (weights[i] <= 0.0) continue;
    reached = i;
    if (target < weights[i]) break;
    target -= weights[i];
  }
  return id_of(keys[reached]);
}

// Of one piece of the row as it came.
struct PieceSum {
  float max;  // -inf: no candidate
  float sum;  // of exp(logit - max); max infinite: the number of infinite logits
};

// sample_select.cu: to tops [n, n_pieces, kMaxShortTopK], of which the first k are written, the
// largest of each piece in order, of the edited and masked row (k = n_kept()) or the raw one
// (n_top()); of the raw one also sums [n, n_pieces].
void launch_select(bool is_raw, const DeviceDraw* draws, int64_t n, const float* logits,
                   int64_t n_pieces, int64_t vocab, Key* tops, PieceSum* sums, cudaStream_t stream);

// sample_long.cu: the draws of which is_long() holds. `tops`: of the edited rows.
void launch_long_draws(const DeviceDraw* draws, int64_t n, const float* logits, const Key* tops,
                       int64_t n_pieces, int64_t vocab, DeviceAnswer* answers, cudaStream_t stream);

}  // namespace lapidary::cuda
