// What the kernels share below a verb: sums over a warp and a block in one fixed order, so that a
// result never depends on timing; the activation; bf16 pairs; and moving eight elements at once.
#pragma once

#include <cmath>
#include <cstring>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/ptx.cuh"

namespace lapidary::cuda {

// --- sums ---

// Every lane gets the same bits.
__device__ __forceinline__ float warp_sum(float x) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) x += __shfl_xor_sync(kAllLanes, x, step);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, step));
  }
  return x;
}

// The n sums over a block of whole warps, to every thread; the warps' sums are added in order.
// `partial`: [n_warps * n] in shared memory, used for no other sum between the same two barriers.
template <int n>
__device__ __forceinline__ void block_sums(float (&x)[n], float* partial) {
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int n_warps = static_cast<int>(blockDim.x) / kWarpSize;
  for (float& v : x) v = warp_sum(v);
  if (threadIdx.x % kWarpSize == 0) {
    for (int i = 0; i < n; ++i) partial[warp * n + i] = x[i];
  }
  __syncthreads();
  for (float& v : x) v = 0.0F;
  for (int w = 0; w < n_warps; ++w) {
    for (int i = 0; i < n; ++i) x[i] += partial[w * n + i];
  }
}

__device__ __forceinline__ float block_sum(float x, float* partial) {
  float sum[1] = {x};
  block_sums(sum, partial);
  return sum[0];
}

// --- activation ---

// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), as x / (1 + e^(-2u)): no
// cancellation where x is far below zero. Right to a few units in the last place.
__device__ __forceinline__ float gelu_tanh(float x) {
  const float twice_u = 1.5957691216F * (x + 0.044715F * x * x * x);
  return __fdividef(x, 1.0F + expf(-twice_u));
}

// --- bf16 and half ---

__device__ __forceinline__ float low_float(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_float(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000U);
}

// Both rounded to nearest even; `low` in the lower half.
__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof(bits));
  return bits;
}

// The value of a half float's bits, by integers: subnormals are multiples of 2^-24.
__device__ __forceinline__ float half_bits_to_float(uint16_t x) {
  const uint32_t sign = (uint32_t{x} & 0x8000U) << 16;
  const uint32_t exponent = (x >> 10) & 31U;
  const uint32_t mantissa = x & 0x3ffU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return __uint_as_float(__float_as_uint(magnitude) | sign);
  }
  const uint32_t widened = exponent == 31 ? 255U : exponent + 112U;
  return __uint_as_float(sign | widened << 23 | mantissa << 13);
}

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }

template <typename T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

// --- eight elements ---

struct Float8 {
  float v[8];
};

// `from` and `to` are aligned to 16 bytes.
__device__ __forceinline__ Bits128 load16(const void* from) {
  return *static_cast<const Bits128*>(from);
}
__device__ __forceinline__ void store16(void* to, const Bits128& bits) {
  *static_cast<Bits128*>(to) = bits;
}

__device__ __forceinline__ Float8 unpack8(const Bits128& bits) {
  Float8 out;
  for (int i = 0; i < 4; ++i) {
    out.v[2 * i] = low_float(bits.word[i]);
    out.v[2 * i + 1] = high_float(bits.word[i]);
  }
  return out;
}
__device__ __forceinline__ Bits128 pack8(const Float8& x) {
  Bits128 out;
  for (int i = 0; i < 4; ++i) out.word[i] = bf16_pair(x.v[2 * i], x.v[2 * i + 1]);
  return out;
}

__device__ __forceinline__ Float8 load8(const bf16* from) { return unpack8(load16(from)); }
__device__ __forceinline__ Float8 load8(const float* from) {
  Float8 out;
  for (int half = 0; half < 2; ++half) {
    const Bits128 bits = load16(from + 4 * half);
    for (int i = 0; i < 4; ++i) out.v[4 * half + i] = __uint_as_float(bits.word[i]);
  }
  return out;
}

__device__ __forceinline__ void store8(bf16* to, const Float8& x) { store16(to, pack8(x)); }
__device__ __forceinline__ void store8(float* to, const Float8& x) {
  for (int half = 0; half < 2; ++half) {
    Bits128 bits;
    for (int i = 0; i < 4; ++i) bits.word[i] = __float_as_uint(x.v[4 * half + i]);
    store16(to + 4 * half, bits);
  }
}

}  // namespace lapidary::cuda
