// e4m3 numbers on their way from the pages to the tensor cores, which multiply bf16: every e4m3
// value is a bf16 value. On all devices by integers, five instructions for two numbers.
#pragma once

#include "kernels/cuda/ptx.cuh"

namespace lapidary::cuda {

// Bytes 0 and 2 of `bytes`, and bytes 1 and 3, as pairs of bf16. Exponent and mantissa take their
// places in a bf16, whose exponent is biased by 120 more; that also makes subnormals right.
// There is no NaN: what is written to pages saturates.
__device__ __forceinline__ void widen_fp8(uint32_t bytes, uint32_t& even, uint32_t& odd) {
  constexpr uint32_t kSigns = 0x80008000U;
  constexpr uint32_t kMagnitudes = 0x07f007f0U;
  constexpr uint32_t kTwoTo120 = 0x7b807b80U;
  even = multiply_bf16_pairs((bytes << 8 & kSigns) | (bytes << 4 & kMagnitudes), kTwoTo120);
  odd = multiply_bf16_pairs((bytes & kSigns) | (bytes >> 4 & kMagnitudes), kTwoTo120);
}

}  // namespace lapidary::cuda
