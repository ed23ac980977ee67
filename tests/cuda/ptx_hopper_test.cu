// Every wrapper of ptx_hopper.cuh and wgmma.cuh against plain loops. Run on the CPU it checks the
// host twins; compiled by nvcc and run on a Hopper GPU it checks the instructions, and so that both
// mean the same. Other GPUs have none of this: its main skips them.
#include "kernels/cuda/ptx_hopper.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "kernels/cuda/hopper.h"
#include "kernels/cuda/ptx.cuh"
#include "tests/cuda/kernel_launch.h"
#include "tests/cuda/schedules.h"

namespace lapidary::cuda {
namespace {

// Small whole numbers: products and their sums are exact in float32, in any order.
std::vector<uint16_t> small_bf16(size_t n, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<uint16_t> values(n);
  for (uint16_t& x : values) {
    const auto value = static_cast<float>(static_cast<int>(generator() % 17) - 8);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    x = static_cast<uint16_t>(bits >> 16);
  }
  return values;
}
float value_of(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// Launches with dynamic shared memory beyond 48 KiB.
template <typename... Parameters, typename... Arguments>
void launch_shared(void (*kernel)(Parameters...), dim3 block, size_t bytes,
                   const Arguments&... arguments) {
  REQUIRE(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bytes)) == cudaSuccess);
  REQUIRE(try_launch(kernel, 1, block, bytes, nullptr, arguments...) == cudaSuccess);
}

// The first place at a multiple of 1024: shared memory begins at one of 128.
__device__ unsigned char* first_atom(unsigned char* shared) {
  return shared + (1024 - shared_address(shared) % 1024) % 1024;
}

// --- mbarriers ---

constexpr int kRingThreads = 96;  // the first warp writes, the others read

// Numbers go through a ring of two slots, `rounds` times; each reader adds up what it reads.
__global__ void ring_kernel(int rounds, int* out) {
  __shared__ int slots[2][32];
  __shared__ uint64_t full[2], empty[2];
  const int i = static_cast<int>(threadIdx.x);
  if (i == 0) {
    for (int s = 0; s < 2; ++s) {
      mbarrier_init(full + s, 32);
      mbarrier_init(empty + s, kRingThreads - 32);
    }
    mbarrier_init_fence();
  }
  __syncthreads();
  int sum = 0;
  for (int n = 0; n < rounds; ++n) {
    const int s = n % 2;
    const auto parity = static_cast<uint32_t>(n / 2 % 2);
    if (i < 32) {
      mbarrier_wait(empty + s, parity ^ 1);
      slots[s][i] = n * 32 + i;
      mbarrier_arrive(full + s);
    } else {
      mbarrier_wait(full + s, parity);
      sum += slots[s][(i + 5) % 32];
      mbarrier_arrive(empty + s);
    }
  }
  if (i >= 32) out[i - 32] = sum;
}

// Each thread's cp.async of 16 bytes counts as an arrival when it has landed; all read the others'.
__global__ void copies_kernel(const float* in, float* out) {
  __shared__ __align__(16) float landed[4 * 64];
  __shared__ uint64_t full;
  const int i = static_cast<int>(threadIdx.x);
  if (i == 0) {
    mbarrier_init(&full, 64);
    mbarrier_init_fence();
  }
  __syncthreads();
  async_copy16(landed + 4 * i, in + 4 * i);
  mbarrier_arrive_after_copies(&full);
  mbarrier_wait(&full, 0);
  for (int k = 0; k < 4; ++k) out[4 * i + k] = landed[255 - 4 * i - k];
}

// --- TMA ---

struct Box {
  int at[4];
  int n_bytes;
};

// One box into shared memory, copied out as it lies there.
template <int kRank>
__global__ void box_kernel(const __grid_constant__ TensorMap map, Box box, uint32_t* out) {
  DYNAMIC_SHARED(unsigned char, shared);
  __shared__ uint64_t full;
  unsigned char* tile = first_atom(shared);
  if (threadIdx.x == 0) {
    prefetch_map(map);
    mbarrier_init(&full, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(&full, static_cast<uint32_t>(box.n_bytes));
    if constexpr (kRank == 2) tma_load(tile, map, &full, box.at[0], box.at[1]);
    if constexpr (kRank == 3) tma_load(tile, map, &full, box.at[0], box.at[1], box.at[2]);
    if constexpr (kRank == 4) {
      tma_load(tile, map, &full, box.at[0], box.at[1], box.at[2], box.at[3]);
    }
  }
  __syncthreads();
  mbarrier_wait(&full, 0);
  const auto* words = reinterpret_cast<const uint32_t*>(tile);
  for (int i = static_cast<int>(threadIdx.x); i < box.n_bytes / 4; i += 64) out[i] = words[i];
}

struct TensorCase {
  std::vector<int> dims, box, at;
  TensorSwizzle swizzle;
};

// The box as the documentation says it lies.
std::vector<uint16_t> expected_box(const TensorCase& c, const std::vector<uint16_t>& tensor) {
  int n = 1;
  for (const int b : c.box) n *= b;
  std::vector<uint16_t> tile(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    int rest = i;
    int64_t place = 0;
    int64_t stride = 1;
    bool is_inside = true;
    for (size_t d = 0; d < c.dims.size(); ++d) {
      const int x = c.at[d] + rest % c.box[d];
      rest /= c.box[d];
      is_inside = is_inside && x >= 0 && x < c.dims[d];
      place += x * stride;
      stride *= c.dims[d];
    }
    size_t byte = static_cast<size_t>(i) * 2;
    if (c.swizzle == TensorSwizzle::bytes128) {
      const size_t row = byte / 128 % 8;
      byte = byte / 128 * 128 + (byte % 128 / 16 ^ row) * 16 + byte % 16;
    }
    tile[byte / 2] = is_inside ? tensor[static_cast<size_t>(place)] : uint16_t{0};
  }
  return tile;
}

void check_box(const TensorCase& c) {
  const int n_elements =
      std::accumulate(c.dims.begin(), c.dims.end(), 1, [](int a, int b) { return a * b; });
  const std::vector<uint16_t> tensor = small_bf16(static_cast<size_t>(n_elements), 3);
  const std::vector<uint16_t> expected = expected_box(c, tensor);
  DeviceArray<uint16_t> there(tensor);
  DeviceArray<uint32_t> out(expected.size() / 2);
  const auto dim = [&](size_t d) {
    int64_t stride = 1;
    for (size_t i = 0; i < d; ++i) stride *= c.dims[i];
    return TensorDim{c.dims[d], stride, c.box[d]};
  };
  Box box{{}, static_cast<int>(expected.size()) * 2};
  std::copy(c.at.begin(), c.at.end(), box.at);
  const size_t shared_bytes = expected.size() * 2 + 1024;
  if (c.dims.size() == 2) {
    const auto map = make_tensor_map(there.data(), {dim(0), dim(1)}, c.swizzle);
    launch_shared(box_kernel<2>, 64, shared_bytes, map, box, out.data());
  } else if (c.dims.size() == 3) {
    const auto map = make_tensor_map(there.data(), {dim(0), dim(1), dim(2)}, c.swizzle);
    launch_shared(box_kernel<3>, 64, shared_bytes, map, box, out.data());
  } else {
    const auto map = make_tensor_map(there.data(), {dim(0), dim(1), dim(2), dim(3)}, c.swizzle);
    launch_shared(box_kernel<4>, 64, shared_bytes, map, box, out.data());
  }
  const auto got = out.host();
  REQUIRE(std::memcmp(got.data(), expected.data(), expected.size() * 2) == 0);
}

// --- wgmma ---

// b [kN, 64] K-major or [64, kN] MN-major lies in shared memory as TMA would have brought it;
// c [64, kN] = a [64, 64] . b, twice the second half of k; a from shared memory or registers.
template <int kN, bool b_is_mn_major, bool a_is_held>
__global__ void product_kernel(const uint16_t* a, const uint16_t* b, float* c) {
  DYNAMIC_SHARED(unsigned char, shared);
  unsigned char* left = first_atom(shared);
  unsigned char* right = left + 64 * 128;
  const auto element = [](unsigned char* tile, int row, int column) {
    return reinterpret_cast<uint16_t*>(tile + row * 128 + (column / 8 ^ row % 8) * 16) + column % 8;
  };
  for (int i = static_cast<int>(threadIdx.x); i < 64 * 64; i += kWarpgroupSize) {
    *element(left, i / 64, i % 64) = a[i];
  }
  // MN-major: 64 columns after 64 columns, each [64 k][64 columns].
  for (int i = static_cast<int>(threadIdx.x); i < kN * 64; i += kWarpgroupSize) {
    const int n = i / 64;
    const int k = i % 64;
    if (b_is_mn_major) {
      *element(right + n / 64 * 8192, k, n % 64) = b[i];
    } else {
      *element(right, n, k) = b[i];
    }
  }
  fence_async_proxy();
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp_row = static_cast<int>(threadIdx.x) / kWarpSize * 16;
  float sums[kN / 2];
  const auto multiply = [&](int step, bool adds) {
    uint64_t right_tile;
    if constexpr (b_is_mn_major) {
      right_tile = tile_at(mn_major_tile(right, 8192, 1024), static_cast<uint32_t>(2048 * step));
    } else {
      right_tile = tile_at(k_major_tile(right, 1024), static_cast<uint32_t>(32 * step));
    }
    if constexpr (a_is_held) {
      uint32_t held[1][4];
      for (int i = 0; i < 4; ++i) {
        const int row = warp_row + lane / 4 + i % 2 * 8;
        const int k = step * 16 + lane % 4 * 2 + i / 2 * 8;
        held[0][i] = a[row * 64 + k] | static_cast<uint32_t>(a[row * 64 + k + 1]) << 16;
      }
      hold_registers(held);
      wgmma_fence();
      wgmma<kN, b_is_mn_major>(sums, held[0], right_tile, adds);
      wgmma_commit();
      wgmma_wait<0>();
      hold_registers(held);
    } else {
      wgmma<kN, b_is_mn_major>(sums,
                               tile_at(k_major_tile(left, 1024), static_cast<uint32_t>(32 * step)),
                               right_tile, adds);
    }
  };
  wgmma_fence();
  for (int step = 0; step < 4; ++step) multiply(step, step > 0);
  wgmma_commit();
  wgmma_fence();
  for (int step = 2; step < 4; ++step) multiply(step, true);
  wgmma_commit();
  if constexpr (!a_is_held) wgmma_wait<1>();
  wgmma_wait<0>();
  hold_registers(sums);
  for (int i = 0; i < kN / 2; ++i) {
    const int row = warp_row + lane / 4 + i / 2 % 2 * 8;
    c[row * kN + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  }
}

template <int kN, bool b_is_mn_major, bool a_is_held>
void check_product() {
  INFO("n " << kN << (b_is_mn_major ? ", MN-major" : ", K-major")
            << (a_is_held ? ", a in registers" : ""));
  const auto a = small_bf16(64 * 64, 5);
  const auto b = small_bf16(static_cast<size_t>(kN) * 64, 6);
  std::vector<float> expected(static_cast<size_t>(64 * kN));
  for (int i = 0; i < 64 * kN; ++i) {
    for (int k = 0; k < 64; ++k) {
      const float product = value_of(a[i / kN * 64 + k]) * value_of(b[i % kN * 64 + k]);
      expected[i] += (k < 32 ? 1.0F : 2.0F) * product;
    }
  }
  DeviceArray<uint16_t> left(a), right(b);
  DeviceArray<float> sums(expected.size());
  const size_t columns = b_is_mn_major ? (kN + 63) / 64 * 64 : kN;
  launch_shared(product_kernel<kN, b_is_mn_major, a_is_held>, kWarpgroupSize,
                1024 + (64 + columns) * 128, left.data(), right.data(), sums.data());
  REQUIRE(sums.host() == expected);
}

// --- warps ---

__global__ void warps_kernel(const uint16_t* matrices, uint16_t* transposed, int* elected) {
  __shared__ __align__(16) uint16_t rows[4 * 64];
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  if (elect_one()) atomicAdd(elected, 1);
  if (warp != 1) return;
  uint32_t r[4];
  for (int m = 0; m < 4; ++m) {
    const uint16_t* pair = matrices + m * 64 + lane / 4 * 8 + lane % 4 * 2;
    r[m] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
  }
  store_matrix_x4_transposed(rows + lane * 8, r);
  named_barrier(3, kWarpSize);
  for (int i = lane; i < 4 * 64; i += kWarpSize) transposed[i] = rows[i];
}

}  // namespace

TEST_CASE("mbarriers hand a ring from writers to readers and back", "[cuda]") {
  constexpr int kRounds = 7;
  each_schedule([&] {
    DeviceArray<int> out(kRingThreads - 32);
    launch_kernel(ring_kernel, 1, kRingThreads, kRounds, out.data());
    const auto got = out.host();
    for (int i = 0; i < kRingThreads - 32; ++i) {
      REQUIRE(got[i] == kRounds * ((i + 32 + 5) % 32) + 32 * kRounds * (kRounds - 1) / 2);
    }
  });
}

TEST_CASE("an mbarrier counts asynchronous copies as arrivals", "[cuda]") {
  std::vector<float> values(256);
  std::iota(values.begin(), values.end(), 1.0F);
  each_schedule([&] {
    DeviceArray<float> in(values), out(256);
    launch_kernel(copies_kernel, 1, 64, in.data(), out.data());
    const auto got = out.host();
    for (int i = 0; i < 256; ++i) REQUIRE(got[i] == values[255 - i]);
  });
}

TEST_CASE("TMA brings boxes, swizzled or not, with zeros outside the tensor", "[cuda]") {
  using enum TensorSwizzle;
  const std::vector<TensorCase> cases = {
      {{64, 24}, {64, 8}, {0, 8}, bytes128},
      {{72, 20}, {64, 16}, {64, 8}, bytes128},         // ends in both dims
      {{40, 9, 3}, {64, 16, 1}, {0, 0, 1}, bytes128},  // wider than the tensor
      {{64, 8, 2}, {64, 8, 2}, {0, 0, 2}, bytes128},   // all outside
      {{128, 5}, {32, 4}, {16, -2}, none},
      {{64, 8, 2, 5}, {64, 8, 2, 2}, {0, 0, 0, 3}, bytes128},
      {{24, 3, 2, 2}, {16, 2, 2, 1}, {8, 2, 1, 1}, none},
  };
  each_schedule([&] {
    for (const TensorCase& c : cases) check_box(c);
  });
}

TEST_CASE("wgmma multiplies tiles that lie as documented", "[cuda]") {
  each_schedule([] {
    check_product<32, false, false>();
    check_product<64, false, false>();
    check_product<80, false, false>();
    check_product<128, false, false>();
    check_product<256, false, false>();
    check_product<64, true, false>();
    check_product<256, true, false>();
    check_product<32, false, true>();
    check_product<80, false, true>();
    check_product<64, true, true>();
    check_product<128, true, true>();
    check_product<256, true, true>();
  });
}

TEST_CASE("one lane is elected, and matrices are stored transposed", "[cuda]") {
  std::vector<uint16_t> matrices(4 * 64);
  std::iota(matrices.begin(), matrices.end(), uint16_t{1000});
  each_schedule([&] {
    DeviceArray<uint16_t> in(matrices), out(4 * 64);
    DeviceArray<int> elected(std::vector<int>{0});
    launch_kernel(warps_kernel, 1, 96, in.data(), out.data(), elected.data());
    CHECK(elected.host()[0] == 3);
    const auto got = out.host();
    for (int i = 0; i < 4 * 64; ++i) {
      REQUIRE(got[i] == matrices[i / 64 * 64 + i % 8 * 8 + i / 8 % 8]);
    }
  });
}

}  // namespace lapidary::cuda
