// Scalar conversions between float32 and the 16-bit formats. Not included by tile_<isa>.cpp:
// these inline functions belong to generic code (see isa.h).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/tensor.h"

namespace lapidary::cpu {

inline float bf16_to_float(uint16_t x) { return std::bit_cast<float>(uint32_t{x} << 16); }

// Round to nearest, ties to even; a NaN stays one.
inline uint16_t float_to_bf16(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if (x != x) return static_cast<uint16_t>((bits >> 16) | 0x40U);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

inline float half_to_float(uint16_t x) {
  const uint32_t sign = (uint32_t{x} & 0x8000U) << 16;
  const uint32_t exponent = (x >> 10) & 31U;
  const uint32_t mantissa = x & 0x3ffU;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8F;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t widened = exponent == 31 ? 255U : exponent + 112U;
  return std::bit_cast<float>(sign | (widened << 23) | (mantissa << 13));
}

// Element i of an array in memory that may be unaligned. REQUIRES: f32, bf16 or f16.
inline float read_float(const void* data, DType dtype, int64_t i) {
  const auto* bytes = static_cast<const char*>(data);
  if (dtype == DType::f32) {
    float x;
    std::memcpy(&x, bytes + i * 4, 4);
    return x;
  }
  uint16_t x;
  std::memcpy(&x, bytes + i * 2, 2);
  return dtype == DType::bf16 ? bf16_to_float(x) : half_to_float(x);
}

}  // namespace lapidary::cpu
