// The same as planted_bugs.cu for what Hopper's instructions add: mbarriers, TMA, proxies, wgmma.
#include <cstring>

#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/ptx_hopper.cuh"
#include "tests/cuda_on_cpu/planted_bugs.h"

namespace planted {
namespace {

using namespace lapidary::cuda;

constexpr int kSteps = 5;
constexpr int kTile = 64;  // rows, columns and k of a step
constexpr int kTileBytes = kTile * kTile * 2;
constexpr int kAtom = 1024;
constexpr size_t kSharedBytes = kAtom + 4 * kTileBytes;

enum class Product {
  right,
  no_initialisation,
  no_full_wait,
  too_few_bytes,
  no_proxy_fence,
  no_product_fence,
  no_product_wait,
  no_wait_at_all,
  no_second_barrier,
  wrong_stride,
  wrong_start,
  plain_tile,
  one_warp_adds_not,
};

// sums [64, 64] = a [64, k] . b [64, k]^T over kSteps of 64 k, by one warpgroup: b comes by TMA, a
// by stores, both through two stages.
__global__ void product_kernel(Product bug, const __grid_constant__ TensorMap b_map,
                               const uint16_t* a, float* sums) {
  DYNAMIC_SHARED(unsigned char, memory);
  __shared__ uint64_t full[2];
  unsigned char* shared = memory + (kAtom - shared_address(memory) % kAtom) % kAtom;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpSize;
  if (thread == 0 && bug != Product::no_initialisation) {
    for (uint64_t& barrier : full) mbarrier_init(&barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  const auto fetch = [&](int step) {
    if (thread != 0 || step >= kSteps) return;
    uint64_t* barrier = full + step % 2;
    mbarrier_arrive_expect(barrier, bug == Product::too_few_bytes ? kTileBytes / 2 : kTileBytes);
    tma_load(shared + step % 2 * 2 * kTileBytes, b_map, barrier, step * kTile, 0);
  };
  float d[kTile / 2] = {};
  fetch(0);
  for (int step = 0; step < kSteps; ++step) {
    fetch(step + 1);
    unsigned char* right = shared + step % 2 * 2 * kTileBytes;
    unsigned char* left = right + kTileBytes;
    for (int i = thread; i < kTile * kTile; i += kWarpgroupSize) {
      const int row = i / kTile;
      const int k = i % kTile;
      auto* chunk = reinterpret_cast<uint16_t*>(left + row * 128 + (k / 8 ^ row % 8) * 16);
      chunk[k % 8] = a[row * kSteps * kTile + step * kTile + k];
    }
    if (bug != Product::no_proxy_fence) fence_async_proxy();
    __syncthreads();
    if (bug != Product::no_full_wait) mbarrier_wait(full + step % 2, step / 2 % 2);
    if (bug != Product::no_product_fence) wgmma_fence();
    for (uint32_t k = 0; k < 4; ++k) {
      const uint32_t begin = 32 * k + (bug == Product::wrong_start ? 16 : 0);
      const uint32_t stride = bug == Product::wrong_stride ? 2 * kAtom : kAtom;
      const bool adds = bug != Product::one_warp_adds_not || thread >= kWarpSize;
      wgmma<kTile>(d, tile_at(k_major_tile(left, kAtom), 32 * k),
                   tile_at(k_major_tile(right, stride), begin), adds);
    }
    wgmma_commit();
    if (bug != Product::no_product_wait && bug != Product::no_wait_at_all) wgmma_wait<0>();
    if (bug != Product::no_second_barrier) __syncthreads();
  }
  if (bug != Product::no_wait_at_all) wgmma_wait<0>();
  for (int i = 0; i < kTile / 2; ++i) {
    const int row = thread / kWarpSize * 16 + lane / 4 + i / 2 % 2 * 8;
    sums[row * kTile + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
  }
}

// Small whole numbers, exact in bf16.
std::vector<uint16_t> numbers(int factor) {
  std::vector<uint16_t> bits;
  for (int i = 0; i < kTile * kSteps * kTile; ++i) {
    const auto x = static_cast<float>(i * factor % 13 - 6);
    uint32_t word;
    std::memcpy(&word, &x, 4);
    bits.push_back(static_cast<uint16_t>(word >> 16));
  }
  return bits;
}

template <typename T>
T* device_copy(const std::vector<T>& values) {
  T* data = nullptr;
  CUDA_CHECK(cudaMalloc(&data, values.size() * sizeof(T)));
  CUDA_CHECK(cudaMemcpy(data, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  return data;
}

bool multiply(Product bug) {
  constexpr int kDepth = kSteps * kTile;
  const auto a = numbers(5);
  const auto b = numbers(7);
  const auto value = [](uint16_t x) { return cuda_on_cpu::float_of(uint32_t{x} << 16); };
  uint16_t* left = device_copy(a);
  uint16_t* right = device_copy(b);
  std::vector<float> got(kTile * kTile);
  float* sums = device_copy(got);
  const TensorMap map =
      make_tensor_map(right, {{kDepth, 1, kTile}, {kTile, kDepth, kTile}},
                      bug == Product::plain_tile ? TensorSwizzle::none : TensorSwizzle::bytes128);
  launch(product_kernel, {1, kWarpgroupSize, kSharedBytes}, bug, map, left, sums);
  CUDA_CHECK(cudaMemcpy(got.data(), sums, got.size() * sizeof(float), cudaMemcpyDeviceToHost));
  for (void* data :
       {static_cast<void*>(left), static_cast<void*>(right), static_cast<void*>(sums)}) {
    CUDA_CHECK(cudaFree(data));
  }
  for (int i = 0; i < kTile * kTile; ++i) {
    float expected = 0.0F;
    for (int k = 0; k < kDepth; ++k) {
      expected += value(a[i / kTile * kDepth + k]) * value(b[i % kTile * kDepth + k]);
    }
    if (got[i] != expected) return false;
  }
  return true;
}

// --- grids that overlap ---

enum class Overlap { right, reads_early, never_waits };

// Each number becomes the mirror image's, plus one.
__global__ void mirror_kernel(Overlap bug, const float* in, float* out) {
  const unsigned mirrored = blockDim.x - 1 - threadIdx.x;
  float x = bug == Overlap::reads_early ? in[mirrored] : 0.0F;
  if (bug != Overlap::never_waits) after_previous_grid();
  if (bug != Overlap::reads_early) x = in[mirrored];
  out[threadIdx.x] = x + 1.0F;
}

bool mirror_twice(Overlap bug) {
  constexpr unsigned kThreads = 64;
  cuda_on_cpu::Schedule schedule = cuda_on_cpu::schedule();
  schedule.late_work = true;  // a grid overlaps with one that has not run yet
  cuda_on_cpu::set_schedule(schedule);
  std::vector<float> values(kThreads);
  for (unsigned i = 0; i < kThreads; ++i) values[i] = static_cast<float>(i);
  float* in = device_copy(values);
  float* between = device_copy(std::vector<float>(kThreads));
  float* out = device_copy(std::vector<float>(kThreads));
  launch(mirror_kernel, {.grid = 1, .block = kThreads, .overlaps = true}, Overlap::right, in,
         between);
  launch(mirror_kernel, {.grid = 1, .block = kThreads, .overlaps = true}, bug, between, out);
  std::vector<float> got(kThreads);
  CUDA_CHECK(cudaMemcpy(got.data(), out, kThreads * sizeof(float), cudaMemcpyDeviceToHost));
  for (float* data : {in, between, out}) CUDA_CHECK(cudaFree(data));
  for (unsigned i = 0; i < kThreads; ++i) {
    if (got[i] != values[i] + 2.0F) return false;
  }
  return true;
}

}  // namespace

std::vector<PlantedBug> planted_hopper_bugs() {
  using enum Product;
  const auto of = [](const char* name, Product bug) {
    return PlantedBug{name, Needs::nothing,
                      [bug](bool planted) { return multiply(planted ? bug : right); }};
  };
  const auto overlap = [](const char* name, Overlap bug) {
    return PlantedBug{name, Needs::nothing,
                      [bug](bool planted) { return mirror_twice(planted ? bug : Overlap::right); }};
  };
  return {of("mbarrier never initialised", no_initialisation),
          of("mbarrier wait missing before what TMA brings is read", no_full_wait),
          of("mbarrier told of fewer bytes than TMA brings", too_few_bytes),
          of("proxy fence missing between stores and wgmma", no_proxy_fence),
          of("wgmma fence missing before products", no_product_fence),
          of("wgmma wait missing before operands are overwritten", no_product_wait),
          of("wgmma wait missing before sums are read", no_wait_at_all),
          of("barrier missing before TMA overwrites a stage", no_second_barrier),
          of("matrix descriptor with a wrong stride", wrong_stride),
          of("matrix descriptor that starts between steps of k", wrong_start),
          of("tile read as swizzled that TMA brought plain", plain_tile),
          of("warps of a warpgroup issue different products", one_warp_adds_not),
          overlap("what the previous grid writes is read before its end", Overlap::reads_early),
          overlap("a grid that may overlap never waits", Overlap::never_waits)};
}

}  // namespace planted
