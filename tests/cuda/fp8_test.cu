// Every e4m3 value on its way from a page to the tensor cores.
#include "kernels/cuda/fp8.cuh"

#include <cstring>

#include "tests/cuda/kernel_launch.h"

namespace lapidary::cuda {
namespace {

__global__ void widen_kernel(const uint32_t* bytes, uint32_t* even, uint32_t* odd) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  widen_fp8(bytes[i], even[i], odd[i]);
}

float value_of_bf16(uint32_t bits) {
  bits <<= 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace

TEST_CASE("every e4m3 number becomes the bf16 of its value, in its place", "[cuda]") {
  std::vector<uint32_t> words;
  for (uint32_t x = 0; x < 256; ++x) {
    words.push_back(x | (255 - x) << 8 | (x ^ 0x5aU) << 16 | (x ^ 0x81U) << 24);
  }
  DeviceArray<uint32_t> bytes(words), even(words.size()), odd(words.size());
  launch_kernel(widen_kernel, 1, 256, bytes.data(), even.data(), odd.data());
  const auto even_there = even.host();
  const auto odd_there = odd.host();
  for (size_t i = 0; i < words.size(); ++i) {
    for (int byte = 0; byte < 4; ++byte) {
      __nv_fp8_e4m3 x;
      x.__x = static_cast<unsigned char>(words[i] >> (8 * byte));
      if ((x.__x & 0x7f) == 0x7f) continue;  // NaN is never written to a page
      const uint32_t pair = (byte % 2 == 0 ? even_there : odd_there)[i];
      INFO("byte " << byte << ", bits " << static_cast<int>(x.__x));
      REQUIRE(value_of_bf16(pair >> (byte / 2 * 16) & 0xffffU) == static_cast<float>(x));
    }
  }
}

}  // namespace lapidary::cuda
