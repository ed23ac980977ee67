// The vector trait of AVX-512 (F, BW, DQ, VL), shared by the files with and without BF16.
// Included only by tile_avx512.cpp and tile_avx512bf16.cpp; private to each (see tile.h).
#pragma once

#include <immintrin.h>

#include "kernels/cpu/isa.h"

namespace lapidary::cpu {
namespace {

struct LanesAvx512 {
  using F = __m512;
  static constexpr int kTileRows = 6;
  static constexpr int kTileLines = 4;

  static __mmask16 first_n(int n) { return static_cast<__mmask16>((1U << n) - 1U); }
  static __m512i bits(F v) { return _mm512_castps_si512(v); }
  static F floats(__m512i v) { return _mm512_castsi512_ps(v); }

  static F zero() { return _mm512_setzero_ps(); }
  static F set1(float x) { return _mm512_set1_ps(x); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static F load_n(const float* p, int n) { return _mm512_maskz_loadu_ps(first_n(n), p); }
  static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static void store_n(float* p, F v, int n) { _mm512_mask_storeu_ps(p, first_n(n), v); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  // The second operand where either is NaN.
  static F min(F a, F b) { return _mm512_min_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F abs(F v) { return _mm512_abs_ps(v); }
  static F copy_sign(F magnitude, F sign) {
    const __m512 mask = set1(-0.0F);
    return _mm512_or_ps(_mm512_andnot_ps(mask, magnitude), _mm512_and_ps(mask, sign));
  }
  static F select_less(F a, F b, F yes, F no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
  }
  // p * 2^n, n standing in the low mantissa bits of `shifted`.
  static F scale_pow2(F p, F shifted) {
    return floats(_mm512_add_epi32(bits(p), _mm512_slli_epi32(bits(shifted), 23)));
  }
  // Lanes [begin, end) of v, the others `fill`.
  static F keep_range(F v, int begin, int end, F fill) {
    const unsigned mask = ((1U << end) - 1U) & ~((1U << begin) - 1U);
    return _mm512_mask_blend_ps(static_cast<__mmask16>(mask), fill, v);
  }
  static float first(F v) { return _mm512_cvtss_f32(v); }
  static float reduce_add(F v) { return _mm512_reduce_add_ps(v); }
  static float reduce_max(F v) { return _mm512_reduce_max_ps(v); }

  static F load_bf16(const uint16_t* p) {
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return floats(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
  }
  static F even_bf16(const char* line) {
    return floats(_mm512_slli_epi32(_mm512_loadu_si512(line), 16));
  }
  static F odd_bf16(const char* line) {
    // A masked load, so that no register is spent on a mask of bits.
    return floats(_mm512_maskz_loadu_epi16(0xaaaaaaaaU, line));
  }
};

}  // namespace
}  // namespace lapidary::cpu
