// What kernels see of the runtime: indices, barriers, collectives, shared memory, atomics and
// asynchronous copies, under every schedule.
#include <cuda_bf16.h>

#include <cmath>
#include <numeric>

#include "tests/cuda/kernel_launch.h"
#include "tests/cuda/schedules.h"

namespace cuda_on_cpu {
namespace {

using lapidary::DeviceArray;
using lapidary::each_schedule;
using lapidary::launch_kernel;
using lapidary::try_launch;

__global__ void indices_kernel(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned n_threads = blockDim.x * blockDim.y * blockDim.z;
  out[block * n_threads + thread] = static_cast<int>(block * 1000 + thread);
}

// Each thread gives its value to its mirror image, twice through the same buffer.
__global__ void mirror_kernel(int* values) {
  __shared__ int shared[96];
  const unsigned i = threadIdx.x;
  int mine = values[i];
  for (int round = 0; round < 2; ++round) {
    shared[i] = mine;
    __syncthreads();
    mine = shared[95 - i] + 1;
    __syncthreads();
  }
  values[i] = mine;
}

__global__ void vote_kernel(const int* values, int* out) {
  const int mine = values[threadIdx.x];
  const int count = __syncthreads_count(mine > 5);
  const int any = __syncthreads_or(mine == 7);
  const int all = __syncthreads_and(mine >= 0);
  const int none = __syncthreads_or(mine < 0);
  out[threadIdx.x] = count * 1000 + any * 100 + all * 10 + none;
}

// What a warp's operations give to each lane, side by side.
struct LaneResults {
  int index, index_narrow, up, down, exclusive_or, narrow_or;
  unsigned ballot, matching;
  int any, all, sum, largest;
  unsigned smallest, bits_or, bits_and;
};

__global__ void warp_kernel(const int* values, LaneResults* out) {
  constexpr unsigned kAll = 0xffffffffU;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int mine = values[threadIdx.x];
  LaneResults r;
  r.index = __shfl_sync(kAll, mine, 31 - lane);
  r.index_narrow = __shfl_sync(kAll, mine, lane + 1, 8);
  r.up = __shfl_up_sync(kAll, mine, 3);
  r.down = __shfl_down_sync(kAll, mine, 5);
  r.exclusive_or = __shfl_xor_sync(kAll, mine, 17);
  r.narrow_or = __shfl_xor_sync(kAll, mine, 4, 8);
  r.ballot = __ballot_sync(kAll, mine % 2);
  r.matching = __match_any_sync(kAll, mine % 3);
  r.any = __any_sync(kAll, mine == values[40]);
  r.all = __all_sync(kAll, mine < 1000);
  r.sum = __reduce_add_sync(kAll, mine);
  r.largest = __reduce_max_sync(kAll, mine);
  r.smallest = __reduce_min_sync(kAll, static_cast<unsigned>(mine));
  r.bits_or = __reduce_or_sync(kAll, static_cast<unsigned>(mine));
  r.bits_and = __reduce_and_sync(kAll, static_cast<unsigned>(mine));
  out[threadIdx.x] = r;
}

LaneResults expected_lane(const std::vector<int>& values, int thread) {
  const int lane = thread % 32;
  const int* warp = values.data() + (thread - lane);
  const auto at = [&](int l) { return warp[l]; };
  LaneResults r{};
  r.index = at(31 - lane);
  r.index_narrow = at(lane / 8 * 8 + (lane + 1) % 8);
  r.up = at(lane >= 3 ? lane - 3 : lane);
  r.down = at(lane + 5 < 32 ? lane + 5 : lane);
  r.exclusive_or = at(lane ^ 17);
  r.narrow_or = at(lane ^ 4);
  r.bits_and = ~0U;
  r.smallest = ~0U;
  r.largest = warp[0];
  r.all = 1;
  for (int l = 0; l < 32; ++l) {
    const auto bits = static_cast<unsigned>(at(l));
    r.ballot |= (bits & 1U) << l;
    if (at(l) % 3 == at(lane) % 3) r.matching |= 1U << l;
    if (at(l) == values[40]) r.any = 1;
    if (at(l) >= 1000) r.all = 0;
    r.sum += at(l);
    r.largest = std::max(r.largest, at(l));
    r.smallest = std::min(r.smallest, bits);
    r.bits_or |= bits;
    r.bits_and &= bits;
  }
  return r;
}

// The two halves of a warp work apart, with masks of their own, in different order.
__global__ void halves_kernel(int* out) {
  const unsigned lane = threadIdx.x;
  int sum = static_cast<int>(lane);
  if (lane < 16) {
    for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(0x0000ffffU, sum, step);
    __syncwarp(0x0000ffffU);
  } else {
    __syncwarp(0xffff0000U);
    sum = __reduce_add_sync(0xffff0000U, sum);
  }
  out[lane] = sum;
}

// The block that comes last adds up what all have written.
__global__ void last_block_kernel(const int* values, int* partial, unsigned* n_done, int* total) {
  __shared__ bool is_last;
  const int sum = __reduce_add_sync(0xffffffffU, values[blockIdx.x * 32 + threadIdx.x]);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    is_last = atomicInc(n_done, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last || threadIdx.x != 0) return;
  *total = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) *total += partial[b];
}

__global__ void atomics_kernel(int* counts, float* sum, unsigned long long* bits) {
  const int i = static_cast<int>(threadIdx.x);
  atomicAdd(&counts[i % 3], i);
  atomicMax(&counts[3], i);
  atomicMin(&counts[4], i);
  atomicAdd(sum, 0.5F);
  atomicOr(bits, 1ULL << i);
  int seen = atomicAdd(&counts[5], 0);
  while (true) {  // a maximum by compare and swap
    const int old = atomicCAS(&counts[5], seen, std::max(seen, i));
    if (old == seen) break;
    seen = old;
  }
}

// The first warp waits for a flag in memory that the last one sets.
__global__ void spin_kernel(int* flag, int* out) {
  if (threadIdx.x / 32 == 1) {
    atomicExch(flag, 1);
  } else {
    while (atomicAdd(flag, 0) == 0) yield();
  }
  __syncthreads();
  out[threadIdx.x] = *flag;
}

__global__ void async_kernel(const float* in, float* out, bool waits) {
  auto* shared = static_cast<float*>(dynamic_shared());
  const unsigned i = threadIdx.x;
  async_copy(shared + i * 4, in + i * 4, 16, i == 0 ? 8 : 16);
  async_commit();
  if (waits) async_wait(0);
  __syncthreads();
  for (unsigned k = 0; k < 4; ++k) out[i * 4 + k] = shared[i * 4 + k];
}

__global__ void poison_kernel(float* out) {
  __shared__ float never_written[4];
  const auto* dynamic = static_cast<const float*>(dynamic_shared());
  out[threadIdx.x] = never_written[threadIdx.x];
  out[4 + threadIdx.x] = dynamic[threadIdx.x];
  __syncthreads();
  never_written[threadIdx.x] = 1.0F;  // for the next block, which must not see it
}

std::vector<int> mixed(int n) {
  std::vector<int> values;
  for (int i = 0; i < n; ++i) values.push_back((i * 37 + 11) % 64);
  return values;
}

}  // namespace

TEST_CASE("every thread of every block runs once and knows where it is", "[cuda]") {
  each_schedule([] {
    DeviceArray<int> out(12 * 60);
    launch_kernel(indices_kernel, dim3(3, 2, 2), dim3(5, 4, 3), out.data());
    const auto seen = out.host();
    for (int i = 0; i < 12 * 60; ++i) REQUIRE(seen[i] == i / 60 * 1000 + i % 60);
  });
}

TEST_CASE("threads exchange through shared memory between barriers", "[cuda]") {
  each_schedule([] {
    DeviceArray<int> values(mixed(96));
    launch_kernel(mirror_kernel, 1, 96, values.data());
    auto expected = mixed(96);
    for (int& x : expected) x += 2;
    REQUIRE(values.host() == expected);
  });
}

TEST_CASE("barriers count and vote over the whole block", "[cuda]") {
  each_schedule([] {
    const auto values = mixed(80);
    DeviceArray<int> in(values);
    DeviceArray<int> out(80);
    launch_kernel(vote_kernel, 1, 80, in.data(), out.data());
    const auto above = std::count_if(values.begin(), values.end(), [](int x) { return x > 5; });
    const bool has_seven = std::count(values.begin(), values.end(), 7) > 0;
    for (const int x : out.host()) REQUIRE(x == above * 1000 + has_seven * 100 + 10);
  });
}

TEST_CASE("lanes of a warp shuffle, vote and reduce", "[cuda]") {
  each_schedule([] {
    const auto values = mixed(64);
    DeviceArray<int> in(values);
    DeviceArray<LaneResults> out(64);
    launch_kernel(warp_kernel, 1, 64, in.data(), out.data());
    const auto results = out.host();
    for (int i = 0; i < 64; ++i) {
      INFO("thread " << i);
      const LaneResults e = expected_lane(values, i);
      REQUIRE(std::memcmp(&results[i], &e, sizeof(e)) == 0);
    }
  });
}

TEST_CASE("halves of a warp work apart under their own masks", "[cuda]") {
  each_schedule([] {
    DeviceArray<int> out(32);
    launch_kernel(halves_kernel, 1, 32, out.data());
    const auto seen = out.host();
    for (int i = 0; i < 32; ++i) REQUIRE(seen[i] == (i < 16 ? 120 : 376));
  });
}

TEST_CASE("the last block sees what the others wrote, whichever it is", "[cuda]") {
  each_schedule([] {
    const auto values = mixed(32 * 7);
    DeviceArray<int> in(values);
    DeviceArray<int> partial(7);
    DeviceArray<unsigned> n_done(std::vector<unsigned>{0});
    DeviceArray<int> total(1);
    launch_kernel(last_block_kernel, 7, 32, in.data(), partial.data(), n_done.data(),
                  total.data());
    REQUIRE(total.host()[0] == std::accumulate(values.begin(), values.end(), 0));
    REQUIRE(n_done.host()[0] == 0);
  });
}

TEST_CASE("atomics lose nothing", "[cuda]") {
  each_schedule([] {
    DeviceArray<int> counts(std::vector<int>{0, 0, 0, -1, 100, -1});
    DeviceArray<float> sum(std::vector<float>{0});
    DeviceArray<unsigned long long> bits(std::vector<unsigned long long>{0});
    launch_kernel(atomics_kernel, 1, 64, counts.data(), sum.data(), bits.data());
    REQUIRE(counts.host() == std::vector<int>{693, 651, 672, 63, 0, 63});
    REQUIRE(sum.host()[0] == 32.0F);
    REQUIRE(bits.host()[0] == ~0ULL);
  });
}

TEST_CASE("a thread that waits for memory lets the others run", "[cuda]") {
  each_schedule([] {
    DeviceArray<int> flag(std::vector<int>{0});
    DeviceArray<int> out(64);
    launch_kernel(spin_kernel, 1, 64, flag.data(), out.data());
    REQUIRE(out.host() == std::vector<int>(64, 1));
  });
}

TEST_CASE("asynchronous copies land at once, or not before they are waited for", "[cuda]") {
  std::vector<float> values(128);
  std::iota(values.begin(), values.end(), 1.0F);
  DeviceArray<float> in(values);
  for (const bool late : {false, true}) {
    for (const bool waits : {false, true}) {
      set_schedule({0, late});
      DeviceArray<float> out(128);
      REQUIRE(try_launch(async_kernel, 1, 32, 512, nullptr, in.data(), out.data(), waits) ==
              cudaSuccess);
      const auto seen = out.host();
      for (size_t i = 0; i < 128; ++i) {
        INFO("element " << i << " late " << late << " waits " << waits);
        if (late && !waits) {
          REQUIRE(std::isnan(seen[i]));
        } else {
          REQUIRE(seen[i] == (i == 2 || i == 3 ? 0.0F : values[i]));  // two were not read
        }
      }
    }
  }
  set_schedule({});
}

TEST_CASE("shared memory that a block has not written is NaN", "[cuda]") {
  DeviceArray<float> out(8);
  REQUIRE(try_launch(poison_kernel, 3, 4, 16, nullptr, out.data()) == cudaSuccess);
  for (const float x : out.host()) REQUIRE(std::isnan(x));
}

}  // namespace cuda_on_cpu
