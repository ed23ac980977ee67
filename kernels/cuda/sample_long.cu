// The draws of sample that no short top_k bounds: top_k off or above 64. One launch, a block of
// 1024 threads a draw, which scans its row (1 MB at 262144 tokens, from L2 after select_kernel has
// read it) a few times instead of sorting it. The same prefix of the candidates' order, and the
// same order of laying weights end to end, as kernels/cpu/sampling:
//   top_k 65..1024          tally, cut by count, sort what is left, as a short top_k
//   top_k off, no top_p     token by token in the order of ids: a scan
//   top_p, or a larger top_k   tally tokens in buckets of distance from the largest logit; inside
//                           the bucket where a limit falls, search it digit by digit of the key
//                           (value, then id); then find the draw's bucket and walk it by ids
// Masses are weights in fixed point, so their sums are exact: threads may add in any order.
//
// Bytes: a scan of 256 rows is 268 MB, 62 us by arithmetic at 4.3 TB/s where L2 does not hold them;
// top_p alone takes 6 to 8 (tally, 3 to 5 digits, recount, draw). The tally is bound by its
// arithmetic, about 60 instructions a token.
#include "kernels/check.h"
#include "kernels/cuda/lanes.cuh"
#include "kernels/cuda/sample.cuh"

namespace lapidary::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kTile = 4 * kThreads;  // tokens that a scan's step covers

using Mass = unsigned long long;
constexpr float kMassOfOne = 0x1p44F;  // 2^18 weights of 1 stay below 2^63

// A bucket is a distance's exponent and 8 bits of its mantissa; nearer than 2^-8 and farther than
// 2^10 are one each. As kernels/cpu/sampling/nucleus.cpp has them: the order of a draw is theirs.
constexpr int kShift = 15;
constexpr int32_t kNearBits = 0x3b800000;  // 2^-8
constexpr int32_t kFarBits = 0x44800000;   // 2^10
constexpr int kBuckets = ((kFarBits - kNearBits) >> kShift) + 1;

constexpr int kDigits = 2048;  // values of one digit of a key
constexpr int kMaxTiles = 1024;

struct Found {
  int at;
  Mass rest;
};

struct Memory {
  Mass mass[kBuckets];
  Mass digit_mass[kDigits];  // also: masses of tiles; sorted keys and their weights
  uint32_t count[kBuckets];
  uint32_t digit_count[kDigits];
  Mass of_warp[kWarps];
  Mass sum;
  Found found;
  int n_listed;
  int32_t token;
};
static_assert(sizeof(Memory) <= 99 * 1024, "fits every device");
static_assert(kDigits >= 2 * kMaxSortedTopK && kDigits >= kMaxTiles);

// As kernels/cpu/sampling/softmax.h, to the last rounding: every fusion is written out, so that a
// weight has the same bits wherever it is computed.
__device__ __forceinline__ float exp_negative(float x) {
  constexpr float kLowest = -87.0F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  if (!(x > kLowest)) return 0.0F;
  const float shifted = __fadd_rn(__fmul_rn(x, 1.44269504F), kRound);
  const float n = __fsub_rn(shifted, kRound);
  const float r = __fmaf_rn(-n, -2.12194440e-4F, __fmaf_rn(-n, 0.693359375F, x));
  float p = 1.0F / 5040;
  p = __fmaf_rn(p, r, 1.0F / 720);
  p = __fmaf_rn(p, r, 1.0F / 120);
  p = __fmaf_rn(p, r, 1.0F / 24);
  p = __fmaf_rn(p, r, 1.0F / 6);
  p = __fmaf_rn(p, r, 0.5F);
  p = __fmaf_rn(p, r, 1.0F);
  p = __fmaf_rn(p, r, 1.0F);
  const int exponent = __float_as_int(shifted) - __float_as_int(kRound);
  return __fmul_rn(p, __int_as_float((exponent + 127) << 23));
}

// A draw's row as the limits see it, and how far the prefix reaches by now.
struct Prefix {
  const float* logits;
  const uint32_t* mask;
  int64_t vocab;
  float max;                  // finite
  bool is_infinite;           // the row's +inf count as 0, all else as nothing
  float inverse_temperature;  // finite
  Key last;                   // no candidate behind it is in
  float max_distance;         // none farther is
  int n_buckets;              // that it reaches

  // What the logit of a token counts as; -inf: not a candidate.
  __device__ float settled(float x, int64_t id) const {
    if (id >= vocab || !is_candidate(x) || !allows(mask, id)) return -kInfinity;
    return !is_infinite ? x : x == kInfinity ? 0.0F : -kInfinity;
  }
  __device__ float distance(float value) const { return __fsub_rn(max, value); }
  __device__ Mass mass(float distance) const {
    const float weight = exp_negative(__fmul_rn(-distance, inverse_temperature));
    return static_cast<Mass>(__fmul_rn(weight, kMassOfOne));
  }
  __device__ bool holds(float value, int64_t id) const {
    return key_of(value, static_cast<int32_t>(id)) >= last && distance(value) <= max_distance;
  }
};

__device__ __forceinline__ int bucket_of(float distance) {
  const int32_t bits = __float_as_int(distance);
  const int32_t at_least = bits > kNearBits ? bits : kNearBits;
  return ((at_least < kFarBits ? at_least : kFarBits) - kNearBits) >> kShift;
}

// f(id, value) for four neighbouring tokens a thread and step, -inf where there is no candidate;
// every thread makes the same number of calls.
template <typename Function>
__device__ __forceinline__ void scan_tile(const Prefix& prefix, int64_t begin, Function f) {
  const int64_t first = begin + int64_t{threadIdx.x} * 4;
  float x[4];
  if (prefix.vocab % 4 == 0 && first < prefix.vocab) {
    const Bits128 four = load16(prefix.logits + first);
    for (int i = 0; i < 4; ++i) x[i] = __uint_as_float(four.word[i]);
  } else {
    for (int i = 0; i < 4; ++i) {
      x[i] = first + i < prefix.vocab ? prefix.logits[first + i] : -kInfinity;
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) f(first + i, prefix.settled(x[i], first + i));
}
template <typename Function>
__device__ __forceinline__ void scan(const Prefix& prefix, Function f) {
  for (int64_t begin = 0; begin < prefix.vocab; begin += kTile) scan_tile(prefix, begin, f);
}

__device__ __forceinline__ Mass warp_total(Mass x) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

// Shared memory adds 64 bits in a loop of attempts, 32 at once: so the low half first, and what it
// carries with the high half. Exact once all have added.
__device__ __forceinline__ void add_mass(Mass* to, Mass mass) {
  auto* half = reinterpret_cast<uint32_t*>(to);
  const auto low = static_cast<uint32_t>(mass);
  const uint32_t before = atomicAdd(&half[0], low);
  const uint32_t high = static_cast<uint32_t>(mass >> 32) + (before + low < before ? 1U : 0U);
  if (high != 0) atomicAdd(&half[1], high);
}

// Adds to a bin; -1: nothing. A warp whose lanes all hit one bin, as in a row of equal logits, adds
// once. Called by whole warps.
__device__ __forceinline__ void tally(int bin, Mass mass, Mass* masses, uint32_t* counts) {
  if (__all_sync(kAllLanes, static_cast<int>(bin == __shfl_sync(kAllLanes, bin, 0))) != 0) {
    const Mass all = bin >= 0 ? warp_total(mass) : 0;
    if (bin >= 0 && threadIdx.x % kWarpSize == 0) {
      add_mass(&masses[bin], all);
      atomicAdd(&counts[bin], static_cast<uint32_t>(kWarpSize));
    }
  } else if (bin >= 0) {
    if (mass > 0) add_mass(&masses[bin], mass);
    atomicAdd(&counts[bin], 1U);
  }
}

__device__ __forceinline__ void clear(Mass* masses, uint32_t* counts, int n) {
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) {
    masses[i] = 0;
    if (counts != nullptr) counts[i] = 0;
  }
  __syncthreads();
}

// The sum over the block, to every thread.
__device__ __forceinline__ Mass block_total(Mass x, Memory& memory) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const Mass total = warp_total(x);
  __syncthreads();
  if (threadIdx.x % kWarpSize == 0) memory.of_warp[warp] = total;
  __syncthreads();
  Mass all = 0;
  for (Mass part : memory.of_warp) all += part;
  return all;
}

// Where `target` falls when sizes are laid end to end, and what of it is left there. The sizes'
// sum is larger than the target.
template <typename SizeAt>
__device__ __forceinline__ Found find(int n, SizeAt size_at, Mass target, Memory& memory) {
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpSize;
  const int of_thread = (n + kThreads - 1) / kThreads;
  const int begin = thread * of_thread;
  const int end = begin + of_thread < n ? begin + of_thread : n;
  Mass sum = 0;
  for (int i = begin; i < end; ++i) sum += size_at(i);
  Mass until = sum;  // inclusive, in the warp
  for (int step = 1; step < kWarpSize; step *= 2) {
    const Mass other = __shfl_up_sync(kAllLanes, until, static_cast<unsigned>(step));
    if (lane >= step) until += other;
  }
  __syncthreads();
  if (lane == kWarpSize - 1) memory.of_warp[thread / kWarpSize] = until;
  __syncthreads();
  Mass before = until - sum;
  for (int w = 0; w < thread / kWarpSize; ++w) before += memory.of_warp[w];
  if (before <= target && target - before < sum) {
    Mass rest = target - before;
    int i = begin;
    for (; rest >= size_at(i); ++i) rest -= size_at(i);
    memory.found = {i, rest};
  }
  __syncthreads();
  return memory.found;
}

__device__ __forceinline__ void tally_buckets(const Prefix& prefix, Memory& memory) {
  clear(memory.mass, memory.count, kBuckets);
  scan(prefix, [&](int64_t, float value) {
    const float distance = prefix.distance(value);
    const bool counts = is_candidate(value) && distance < kInfinity;
    tally(counts ? bucket_of(distance) : -1, counts ? prefix.mass(distance) : 0, memory.mass,
          memory.count);
  });
  __syncthreads();
}

// One digit: of the candidates of `bucket` in the prefix whose key begins as `known` does, those
// above bit `shift + bits`.
__device__ __forceinline__ void tally_digits(const Prefix& prefix, int bucket, Key known, int shift,
                                             int bits, Memory& memory) {
  clear(memory.digit_mass, memory.digit_count, kDigits);
  const int above = shift + bits;
  scan(prefix, [&](int64_t id, float value) {
    const float distance = prefix.distance(value);
    int digit = -1;
    if (is_candidate(value) && distance < kInfinity && bucket_of(distance) == bucket) {
      const Key key = key_of(value, static_cast<int32_t>(id));
      const bool is_known = above == 64 || key >> above == known >> above;
      if (is_known && prefix.holds(value, id)) {
        digit = static_cast<int>(key >> shift & ((1U << bits) - 1U));
      }
    }
    tally(digit, digit >= 0 ? prefix.mass(distance) : 0, memory.digit_mass, memory.digit_count);
  });
  __syncthreads();
}

// The candidate of `bucket` on which `target` falls in their order, by mass or by number; the
// prefix ends with it.
template <bool by_mass>
__device__ __forceinline__ void end_inside(Prefix& prefix, int bucket, Mass target,
                                           Memory& memory) {
  // The value in three digits; then the id, whose upper bits (it is stored inverted) are all set.
  Key known = 0;
  for (int d = 0; d < 5; ++d) {
    const int shift = d == 0 ? 53 : d == 1 ? 42 : d == 2 ? 32 : d == 3 ? 11 : 0;
    const int bits = d == 2 ? 10 : 11;
    if (d == 3) known |= Key{0xffc00000U};
    tally_digits(prefix, bucket, known, shift, bits, memory);
    const auto size_at = [&](int i) {
      const int digit = kDigits - 1 - i;
      return by_mass ? memory.digit_mass[digit] : Mass{memory.digit_count[digit]};
    };
    const Found found = find(kDigits, size_at, target, memory);
    const int digit = kDigits - 1 - found.at;
    target = found.rest;
    known |= static_cast<Key>(digit) << shift;
    // One alone, or all of one value wanted: the ids need no search.
    const Mass n = memory.digit_count[digit];
    if (d == 2 && (n == 1 || (!by_mass && target + 1 == n))) break;
  }
  prefix.last = known;
  prefix.n_buckets = bucket + 1;
}

// The mass of what the prefix holds of `bucket`, to its place.
__device__ __forceinline__ void recount(const Prefix& prefix, int bucket, Memory& memory) {
  Mass mass = 0;
  scan(prefix, [&](int64_t id, float value) {
    if (!is_candidate(value)) return;
    const float distance = prefix.distance(value);
    if (distance < kInfinity && bucket_of(distance) == bucket && prefix.holds(value, id)) {
      mass += prefix.mass(distance);
    }
  });
  const Mass all = block_total(mass, memory);
  if (threadIdx.x == 0) memory.mass[bucket] = all;
  __syncthreads();
}

__device__ __forceinline__ void cut_by_count(Prefix& prefix, int top_k, Memory& memory) {
  Mass sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < kBuckets; i += kThreads) sum += memory.count[i];
  if (block_total(sum, memory) <= static_cast<Mass>(top_k)) return;
  const Found found = find(
      kBuckets, [&](int i) { return Mass{memory.count[i]}; }, static_cast<Mass>(top_k) - 1, memory);
  if (found.rest + 1 == memory.count[found.at]) {
    prefix.n_buckets = found.at + 1;
    return;
  }
  end_inside<false>(prefix, found.at, found.rest, memory);
  recount(prefix, found.at, memory);
}

__device__ __forceinline__ Mass mass_of_buckets(int n, Memory& memory) {
  Mass sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) sum += memory.mass[i];
  return block_total(sum, memory);
}

// A candidate stays while the mass before it is below top_p of all.
__device__ __forceinline__ void cut_by_mass(Prefix& prefix, float top_p, Memory& memory) {
  const Mass all = mass_of_buckets(prefix.n_buckets, memory);
  const auto missing =
      static_cast<Mass>(ceil(static_cast<double>(top_p) * static_cast<double>(all)));
  const Mass target = missing < 1 ? 0 : missing > all ? all - 1 : missing - 1;
  const Found found = find(
      prefix.n_buckets, [&](int i) { return memory.mass[i]; }, target, memory);
  end_inside<true>(prefix, found.at, found.rest, memory);
  recount(prefix, found.at, memory);
}

__device__ __forceinline__ void cut_by_distance(Prefix& prefix, float max_distance,
                                                Memory& memory) {
  const int bucket = bucket_of(max_distance);
  prefix.max_distance = max_distance;
  if (bucket >= prefix.n_buckets) return;
  prefix.n_buckets = bucket + 1;
  recount(prefix, bucket, memory);
}

// The mass of a token if the prefix holds it in this bucket; bucket -1: in any.
__device__ __forceinline__ Mass mass_inside(const Prefix& prefix, int bucket, int64_t id,
                                            float value) {
  if (!is_candidate(value)) return 0;
  const float distance = prefix.distance(value);
  const bool is_in = bucket < 0 || (distance < kInfinity && bucket_of(distance) == bucket);
  return is_in && prefix.holds(value, id) ? prefix.mass(distance) : 0;
}

__device__ __forceinline__ int tiles_of(int64_t vocab) {
  return static_cast<int>((vocab + kTile - 1) / kTile);
}

// The masses of all tiles, to the first kMaxTiles places of digit_mass; and their sum.
__device__ __forceinline__ Mass tally_tiles(const Prefix& prefix, int bucket, Memory& memory) {
  const int n_tiles = tiles_of(prefix.vocab);
  clear(memory.digit_mass, nullptr, n_tiles);
  Mass sum = 0;
  for (int tile = 0; tile < n_tiles; ++tile) {
    Mass mass = 0;
    scan_tile(prefix, int64_t{tile} * kTile,
              [&](int64_t id, float value) { mass += mass_inside(prefix, bucket, id, value); });
    sum += mass;
    mass = warp_total(mass);
    if (threadIdx.x % kWarpSize == 0 && mass > 0) add_mass(&memory.digit_mass[tile], mass);
  }
  return block_total(sum, memory);
}

// The token on which `target` falls in the order of ids, after tally_tiles().
__device__ __forceinline__ int32_t walk_ids(const Prefix& prefix, int bucket, Mass target,
                                            Memory& memory) {
  const Found tile = find(
      tiles_of(prefix.vocab), [&](int i) { return memory.digit_mass[i]; }, target, memory);
  Mass mine[4];
  int n = 0;
  const int64_t begin = int64_t{tile.at} * kTile;
  scan_tile(prefix, begin,
            [&](int64_t id, float value) { mine[n++] = mass_inside(prefix, bucket, id, value); });
  const Mass all_mine = mine[0] + mine[1] + mine[2] + mine[3];
  const Found thread = find(  // each thread is asked for its own
      kThreads, [&](int) { return all_mine; }, tile.rest, memory);
  if (static_cast<int>(threadIdx.x) == thread.at) {
    const Mass until[] = {mine[0], mine[0] + mine[1], mine[0] + mine[1] + mine[2]};
    int i = 0;
    for (Mass before : until) i += static_cast<int>(thread.rest >= before);
    memory.token = static_cast<int32_t>(begin) + static_cast<int32_t>(threadIdx.x) * 4 + i;
  }
  __syncthreads();
  return memory.token;
}

__device__ __forceinline__ Mass share_of(double u, Mass sum) {
  const auto share = static_cast<Mass>(u * static_cast<double>(sum));
  return share < sum ? share : sum - 1;
}

// From all that is near enough, in the order of ids.
__device__ __forceinline__ int32_t draw_from_row(Prefix& prefix, double u, Memory& memory) {
  const Mass sum = tally_tiles(prefix, -1, memory);
  return walk_ids(prefix, -1, share_of(u, sum), memory);
}

// From a long prefix: bucket by bucket, inside one by ids.
__device__ __forceinline__ int32_t draw_from_buckets(const Prefix& prefix, double u,
                                                     Memory& memory) {
  const Mass sum = mass_of_buckets(prefix.n_buckets, memory);
  const Found found = find(
      prefix.n_buckets, [&](int i) { return memory.mass[i]; }, share_of(u, sum), memory);
  tally_tiles(prefix, found.at, memory);
  return walk_ids(prefix, found.at, found.rest, memory);
}

// From what a top_k of at most kMaxSortedTopK left.
__device__ __forceinline__ int32_t draw_from_few(const Prefix& prefix, const DeviceDraw& draw,
                                                 Memory& memory) {
  Key* keys = memory.digit_mass;
  auto* weights = reinterpret_cast<double*>(memory.digit_mass + kMaxSortedTopK);
  __syncthreads();
  if (threadIdx.x == 0) memory.n_listed = 0;
  __syncthreads();
  scan(prefix, [&](int64_t id, float value) {
    if (!is_candidate(value) || !(prefix.distance(value) < kInfinity)) return;
    const Key key = key_of(value, static_cast<int32_t>(id));
    if (key >= prefix.last) keys[atomicAdd(&memory.n_listed, 1)] = key;
  });
  __syncthreads();
  const int n = memory.n_listed;
  const int n_sorted = power_of_two(n);
  for (int i = n + static_cast<int>(threadIdx.x); i < n_sorted; i += kThreads) keys[i] = 0;
  sort_descending(keys, n_sorted);
  return draw_from_sorted(draw, keys, n, weights);
}

__device__ __forceinline__ int32_t draw_long(const DeviceDraw& draw, Prefix& prefix,
                                             Memory& memory) {
  const double u = uniform(draw.seed, draw.choice, draw.position);
  const auto max_distance = static_cast<float>(draw.max_distance);
  if (draw.top_k <= 0 && draw.top_p >= 1.0F) {
    prefix.max_distance = max_distance;
    return draw_from_row(prefix, u, memory);
  }
  tally_buckets(prefix, memory);
  if (draw.top_k > 0) cut_by_count(prefix, draw.top_k, memory);
  if (draw.top_k > 0 && draw.top_k <= kMaxSortedTopK) return draw_from_few(prefix, draw, memory);
  if (draw.top_p < 1.0F) cut_by_mass(prefix, draw.top_p, memory);
  cut_by_distance(prefix, max_distance, memory);
  return draw_from_buckets(prefix, u, memory);
}

__global__ void __launch_bounds__(kThreads)
    draw_long_kernel(const DeviceDraw* draws, const float* logits, const Key* tops,
                     int64_t n_pieces, int64_t vocab, DeviceAnswer* answers) {
  DYNAMIC_SHARED(Memory, memory);
  const DeviceDraw& draw = draws[blockIdx.x];
  if (!draw.is_long()) return;
  Key best = 0;
  for (int64_t i = 0; i < n_pieces; ++i) {
    const Key top = tops[(int64_t{blockIdx.x} * n_pieces + i) * kMaxShortTopK];
    best = top > best ? top : best;
  }
  if (best == 0) return;
  const float max = value_of(best);
  const bool is_infinite = max == kInfinity;
  // A temperature whose inverse overflows leaves the largest logits only, as this does.
  const float temperature = draw.temperature > 1e-30F ? draw.temperature : 1e-30F;
  Prefix prefix{logits + draw.row_begin,
                draw.mask,
                vocab,
                is_infinite ? 0.0F : max,
                is_infinite,
                1.0F / temperature,
                1,
                kInfinity,
                kBuckets};
  const int32_t token = draw_long(draw, prefix, *memory);
  if (threadIdx.x == 0) answers[draw.result].token = token;
}

}  // namespace

void launch_long_draws(const DeviceDraw* draws, int64_t n, const float* logits, const Key* tops,
                       int64_t n_pieces, int64_t vocab, DeviceAnswer* answers,
                       cudaStream_t stream) {
  CHECK(vocab <= int64_t{kTile} * kMaxTiles);
  launch(draw_long_kernel,
         {.grid = dim3(static_cast<unsigned>(n)),
          .block = dim3(kThreads),
          .shared_bytes = sizeof(Memory),
          .stream = stream},
         draws, logits, tops, n_pieces, vocab, answers);
}

}  // namespace lapidary::cuda
