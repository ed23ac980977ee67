// Every wrapper of ptx.cuh against plain loops. Run on the CPU it checks the host twins; compiled by
// nvcc and run on a GPU it checks the instructions, and so that both mean the same.
#include "kernels/cuda/ptx.cuh"

#include <cmath>
#include <cstring>
#include <random>

#include "tests/cuda/kernel_launch.h"
#include "tests/cuda/schedules.h"
#include "tests/tested_seed.h"

namespace lapidary::cuda {
namespace {

uint16_t bf16_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>((bits + 0x7fffU + (bits >> 16 & 1U)) >> 16);
}
double bf16_value(uint16_t x) {
  const uint32_t bits = uint32_t{x} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

std::vector<uint16_t> random_bf16(size_t n, uint32_t seed) {
  std::mt19937 generator(tested_seed(seed));
  std::normal_distribution<float> normal;
  std::vector<uint16_t> values(n);
  for (uint16_t& x : values) x = bf16_bits(normal(generator));
  return values;
}
std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::mt19937 generator(tested_seed(seed));
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& x : values) x = normal(generator);
  return values;
}

__device__ uint32_t pair_at(const uint16_t* first, int stride) {
  return first[0] | static_cast<uint32_t>(first[stride]) << 16;
}

// Each warp: c [16, 8] += a [16, 16] . b [16, 8], all row-major, by the layout of the head comment.
__global__ void mma_kernel(const uint16_t* a, const uint16_t* b, float* c) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int g = lane / 4;
  const int t = lane % 4;
  a += warp * 16 * 16;
  b += warp * 16 * 8;
  c += warp * 16 * 8;
  const uint32_t left[4] = {
      pair_at(a + g * 16 + 2 * t, 1), pair_at(a + (g + 8) * 16 + 2 * t, 1),
      pair_at(a + g * 16 + 2 * t + 8, 1), pair_at(a + (g + 8) * 16 + 2 * t + 8, 1)};
  const uint32_t right[2] = {pair_at(b + 2 * t * 8 + g, 8), pair_at(b + (2 * t + 8) * 8 + g, 8)};
  float sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2];
  mma_bf16(sums, left, right);
  for (int i = 0; i < 4; ++i) c[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = sums[i];
}

constexpr int kRowStride = 24;  // elements: rows lie apart, each on 16 bytes

// rows [32, 8]: four matrices. Lane l gives row l; out [32, 4].
template <bool transposed>
__global__ void ldmatrix_kernel(const uint16_t* rows, uint32_t* out) {
  __shared__ __align__(16) uint16_t shared[32 * kRowStride];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 8; ++i) shared[lane * kRowStride + i] = rows[lane * 8 + i];
  __syncthreads();
  uint32_t r[4];
  ldmatrix_x4<transposed>(r, shared + lane * kRowStride);
  for (int m = 0; m < 4; ++m) out[lane * 4 + m] = r[m];
}

// A ring of three stages: while stage i is read, the two after it are under way. Only n_read[i] of
// each 16 bytes of thread i come from global memory.
__global__ void copy_ring_kernel(const float* in, const int* n_read, int n_stages, float* out) {
  DYNAMIC_SHARED(float, shared);
  const int i = static_cast<int>(threadIdx.x);
  const int width = 4 * static_cast<int>(blockDim.x);
  const auto begin = [&](int stage) {
    if (stage < n_stages) {
      async_copy16(shared + stage % 3 * width + 4 * i, in + stage * width + 4 * i, n_read[i]);
    }
    async_commit();
  };
  begin(0);
  begin(1);
  for (int stage = 0; stage < n_stages; ++stage) {
    begin(stage + 2);
    async_wait<2>();
    __syncthreads();
    const int other = width - 1 - 4 * i;  // what another thread has copied
    for (int k = 0; k < 4; ++k) {
      out[stage * width + other - k] = shared[stage % 3 * width + other - k];
    }
    __syncthreads();
  }
}

__global__ void load_kernel(const Bits128* in, Bits128* out) {
  out[threadIdx.x] = load_streaming(in + threadIdx.x);
}

__global__ void exp2_kernel(const float* in, float* out) {
  out[threadIdx.x] = exp2_approximate(in[threadIdx.x]);
}

__global__ void multiply_kernel(const uint32_t* x, const uint32_t* y, uint32_t* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = multiply_bf16_pairs(x[i], y[i]);
}

}  // namespace

TEST_CASE("mma multiplies tiles whose fragments lie as documented", "[cuda]") {
  constexpr int kWarps = 3;
  const auto a = random_bf16(kWarps * 16 * 16, 1);
  const auto b = random_bf16(kWarps * 16 * 8, 2);
  const auto c = random_floats(kWarps * 16 * 8, 3);
  each_schedule([&] {
    DeviceArray<uint16_t> left(a), right(b);
    DeviceArray<float> sums(c);
    launch_kernel(mma_kernel, 1, 32 * kWarps, left.data(), right.data(), sums.data());
    const auto got = sums.host();
    for (int i = 0; i < kWarps * 16 * 8; ++i) {
      const int warp = i / 128;
      double expected = c[i];
      double magnitude = std::fabs(expected);
      for (int k = 0; k < 16; ++k) {
        const double product = bf16_value(a[warp * 256 + i % 128 / 8 * 16 + k]) *
                               bf16_value(b[warp * 128 + k * 8 + i % 8]);
        expected += product;
        magnitude += std::fabs(product);
      }
      INFO("element " << i);
      REQUIRE(std::fabs(got[i] - expected) <= magnitude * 0x1p-19);
    }
  });
}

TEST_CASE("ldmatrix gives each lane its elements of four matrices", "[cuda]") {
  std::vector<uint16_t> rows(32 * 8);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<uint16_t>(1000 + i);
  const auto element = [&](int m, int row, int column) { return rows[(m * 8 + row) * 8 + column]; };
  each_schedule([&] {
    DeviceArray<uint16_t> in(rows);
    DeviceArray<uint32_t> plain(32 * 4), turned(32 * 4);
    launch_kernel(ldmatrix_kernel<false>, 1, 32, in.data(), plain.data());
    launch_kernel(ldmatrix_kernel<true>, 1, 32, in.data(), turned.data());
    const auto as_is = plain.host();
    const auto transposed = turned.host();
    for (int i = 0; i < 32 * 4; ++i) {
      const int m = i % 4;
      const int g = i / 4 / 4;
      const int t = i / 4 % 4;
      INFO("lane " << i / 4 << " matrix " << m);
      REQUIRE((as_is[i] & 0xffff) == element(m, g, 2 * t));
      REQUIRE(as_is[i] >> 16 == element(m, g, 2 * t + 1));
      REQUIRE((transposed[i] & 0xffff) == element(m, 2 * t, g));
      REQUIRE(transposed[i] >> 16 == element(m, 2 * t + 1, g));
    }
  });
}

TEST_CASE("asynchronous copies arrive in the order of their groups, filled with zeros", "[cuda]") {
  constexpr int kThreads = 64, kStages = 7, kWidth = 4 * kThreads;
  const auto values = random_floats(kWidth * kStages, 4);
  std::vector<int> n_read(kThreads, 16);
  n_read[3] = 0;
  n_read[5] = 8;
  n_read[6] = 4;
  each_schedule([&] {
    DeviceArray<float> in(values), out(values.size());
    DeviceArray<int> bytes(n_read);
    REQUIRE(try_launch(copy_ring_kernel, 1, kThreads, 3 * kWidth * sizeof(float), nullptr,
                       in.data(), bytes.data(), kStages, out.data()) == cudaSuccess);
    const auto got = out.host();
    for (int i = 0; i < kWidth * kStages; ++i) {
      const int thread = i % kWidth / 4;
      INFO("stage " << i / kWidth << " thread " << thread << " element " << i % 4);
      REQUIRE(got[i] == (i % 4 * 4 < n_read[thread] ? values[i] : 0.0F));
    }
  });
}

TEST_CASE("a streaming load reads sixteen bytes", "[cuda]") {
  std::vector<Bits128> values(32);
  for (uint32_t i = 0; i < 128; ++i) values[i / 4].word[i % 4] = i * 0x01010101U;
  DeviceArray<Bits128> in(values), out(32);
  launch_kernel(load_kernel, 1, 32, in.data(), out.data());
  const auto got = out.host();
  CHECK(std::memcmp(got.data(), values.data(), 32 * sizeof(Bits128)) == 0);
}

TEST_CASE("powers of two are right to a few units in the last place", "[cuda]") {
  std::vector<float> x = {0.0F, -0.0F, 1.0F, -1.0F, -126.0F, -126.5F, -140.0F, -200.0F, -1e30F,
                          -INFINITY, 127.0F, 1e-30F};
  for (int i = 0; x.size() < 256; ++i) x.push_back(-125.9F + static_cast<float>(i) * 0.987F);
  DeviceArray<float> in(x), out(x.size());
  launch_kernel(exp2_kernel, 1, static_cast<unsigned>(x.size()), in.data(), out.data());
  const auto got = out.host();
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = x[i] < -126.0F ? 0.0 : std::exp2(static_cast<double>(x[i]));
    INFO("2^" << x[i]);
    REQUIRE(std::fabs(got[i] - expected) <= expected * 0x1p-21);
  }
}

TEST_CASE("pairs of bf16 are multiplied and rounded once", "[cuda]") {
  constexpr uint32_t kTwoTo120 = 0x7b80U;
  std::vector<uint32_t> x, y;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const uint32_t small = bits & 0x87f0U;  // an fp8 value's bits in a bf16's place
    x.push_back(bits | small << 16);
    y.push_back(0x3fc1U | kTwoTo120 << 16);
  }
  DeviceArray<uint32_t> left(x), right(y), out(x.size());
  launch_kernel(multiply_kernel, static_cast<unsigned>(x.size() / 256), 256, left.data(),
                right.data(), out.data());
  const auto got = out.host();
  for (size_t i = 0; i < x.size(); ++i) {
    for (const int half : {0, 16}) {
      const auto a = static_cast<uint16_t>(x[i] >> half);
      const double product = bf16_value(a) * bf16_value(static_cast<uint16_t>(y[i] >> half));
      if (!(std::fabs(product) < 1e38) || std::fabs(product) < 1e-37) continue;
      INFO("bits " << a);
      REQUIRE((got[i] >> half & 0xffff) == bf16_bits(static_cast<float>(product)));
    }
  }
}

}  // namespace lapidary::cuda
