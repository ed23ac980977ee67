// Stands in for NVIDIA's header of this name, for e4m3: 4 bits of exponent (bias 7), 3 of mantissa,
// no infinities, largest 448. Rounds to nearest even; what is larger becomes 448 with its sign; every
// NaN becomes 0x7f.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include <cuda_bf16.h>
#include "tests/cuda_on_cpu/vector_types.h"

using __nv_fp8_storage_t = unsigned char;
using __nv_fp8x2_storage_t = unsigned short;
using __nv_fp8x4_storage_t = unsigned int;
enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE };
enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 };

namespace cuda_on_cpu {

inline float float_of_e4m3(__nv_fp8_storage_t bits) {
  const int exponent = bits >> 3 & 15;
  const int mantissa = bits & 7;
  float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                  : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  if ((bits & 0x7f) == 0x7f) magnitude = NAN;
  return std::copysign(magnitude, (bits & 0x80) != 0 ? -1.0F : 1.0F);
}

inline __nv_fp8_storage_t e4m3_of_float(float x) {
  const auto sign = static_cast<__nv_fp8_storage_t>(std::signbit(x) ? 0x80 : 0);
  const float magnitude = std::fabs(x);
  if (x != x) return 0x7f;
  if (magnitude >= 448.0F) return sign | 0x7e;
  // The grid's step at this magnitude is 2^(exponent - 3), and 2^-9 below the normal numbers.
  const int exponent = magnitude < 0x1p-6F ? -6 : std::ilogb(magnitude);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 3 - exponent)));
  // Steps 8 .. 15 of a normal exponent; rounding up to 16 carries into the next exponent.
  return static_cast<__nv_fp8_storage_t>(sign | ((exponent + 6) * 8 + steps));
}

}  // namespace cuda_on_cpu

class __nv_fp8_e4m3 {
 public:
  __nv_fp8_storage_t __x;

  __nv_fp8_e4m3() = default;
  explicit __nv_fp8_e4m3(float x) : __x(cuda_on_cpu::e4m3_of_float(x)) {}
  explicit __nv_fp8_e4m3(double x) : __nv_fp8_e4m3(static_cast<float>(x)) {}
  explicit __nv_fp8_e4m3(__nv_bfloat16 x) : __nv_fp8_e4m3(static_cast<float>(x)) {}

  explicit operator float() const { return cuda_on_cpu::float_of_e4m3(__x); }
  explicit operator __nv_bfloat16() const { return static_cast<float>(*this); }
};

class alignas(2) __nv_fp8x2_e4m3 {
 public:
  __nv_fp8x2_storage_t __x;

  __nv_fp8x2_e4m3() = default;
  explicit __nv_fp8x2_e4m3(float2 v)
      : __x(static_cast<__nv_fp8x2_storage_t>(cuda_on_cpu::e4m3_of_float(v.x) |
                                              cuda_on_cpu::e4m3_of_float(v.y) << 8)) {}
  explicit __nv_fp8x2_e4m3(__nv_bfloat162 v) : __nv_fp8x2_e4m3(__bfloat1622float2(v)) {}

  explicit operator float2() const {
    return {cuda_on_cpu::float_of_e4m3(static_cast<__nv_fp8_storage_t>(__x)),
            cuda_on_cpu::float_of_e4m3(static_cast<__nv_fp8_storage_t>(__x >> 8))};
  }
};

class alignas(4) __nv_fp8x4_e4m3 {
 public:
  __nv_fp8x4_storage_t __x;

  __nv_fp8x4_e4m3() = default;
  explicit __nv_fp8x4_e4m3(float4 v)
      : __x(__nv_fp8x2_e4m3(float2{v.x, v.y}).__x |
            static_cast<unsigned>(__nv_fp8x2_e4m3(float2{v.z, v.w}).__x) << 16) {}

  explicit operator float4() const {
    __nv_fp8x2_e4m3 low, high;
    low.__x = static_cast<__nv_fp8x2_storage_t>(__x);
    high.__x = static_cast<__nv_fp8x2_storage_t>(__x >> 16);
    const auto a = static_cast<float2>(low);
    const auto b = static_cast<float2>(high);
    return {a.x, a.y, b.x, b.y};
  }
};

// REQUIRES: e4m3 and __NV_SATFINITE; the backend uses no other.
inline __nv_fp8_storage_t __nv_cvt_float_to_fp8(float x, __nv_saturation_t,
                                                __nv_fp8_interpretation_t) {
  return cuda_on_cpu::e4m3_of_float(x);
}
inline __nv_fp8x2_storage_t __nv_cvt_float2_to_fp8x2(float2 v, __nv_saturation_t,
                                                     __nv_fp8_interpretation_t) {
  return __nv_fp8x2_e4m3(v).__x;
}
inline __nv_fp8_storage_t __nv_cvt_bfloat16raw_to_fp8(__nv_bfloat16_raw x, __nv_saturation_t,
                                                      __nv_fp8_interpretation_t) {
  return cuda_on_cpu::e4m3_of_float(__nv_bfloat16(x));
}
