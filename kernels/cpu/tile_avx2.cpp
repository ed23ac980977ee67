// AVX2 with FMA: a line is two registers, so the tile is one panel wide.
#include <immintrin.h>

#include "kernels/cpu/isa.h"

namespace lapidary::cpu {
namespace {

struct Lanes {
  struct F {
    __m256 a, b;
  };
  static constexpr int kTileRows = 6;
  static constexpr int kTileLines = 1;

  static __m256i bits(__m256 v) { return _mm256_castps_si256(v); }
  static __m256 floats(__m256i v) { return _mm256_castsi256_ps(v); }
  static __m256i iota(int from) {
    return _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(from));
  }
  // All ones in the lanes below n.
  static __m256i below(int n, int from) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), iota(from));
  }

  static F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static F load_n(const float* p, int n) {
    return {_mm256_maskload_ps(p, below(n, 0)), _mm256_maskload_ps(p + 8, below(n, 8))};
  }
  static void store(float* p, F v) {
    _mm256_storeu_ps(p, v.a);
    _mm256_storeu_ps(p + 8, v.b);
  }
  static void store_n(float* p, F v, int n) {
    if (n >= kLanes) return store(p, v);
    _mm256_maskstore_ps(p, below(n, 0), v.a);
    _mm256_maskstore_ps(p + 8, below(n, 8), v.b);
  }
  static F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static F fma(F x, F y, F z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  // The second operand where either is NaN.
  static F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static F abs(F v) {
    const __m256 sign = _mm256_set1_ps(-0.0F);
    return {_mm256_andnot_ps(sign, v.a), _mm256_andnot_ps(sign, v.b)};
  }
  static F copy_sign(F magnitude, F sign) {
    const __m256 mask = _mm256_set1_ps(-0.0F);
    const F positive = abs(magnitude);
    return {_mm256_or_ps(positive.a, _mm256_and_ps(mask, sign.a)),
            _mm256_or_ps(positive.b, _mm256_and_ps(mask, sign.b))};
  }
  static F select_less(F x, F y, F yes, F no) {
    return {_mm256_blendv_ps(no.a, yes.a, _mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ)),
            _mm256_blendv_ps(no.b, yes.b, _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ))};
  }
  static __m256 scale_pow2(__m256 p, __m256 shifted) {
    return floats(_mm256_add_epi32(bits(p), _mm256_slli_epi32(bits(shifted), 23)));
  }
  // p * 2^n, n standing in the low mantissa bits of `shifted`.
  static F scale_pow2(F p, F shifted) {
    return {scale_pow2(p.a, shifted.a), scale_pow2(p.b, shifted.b)};
  }
  static __m256 keep_range(__m256 v, int begin, int end, int from, __m256 fill) {
    const __m256i inside = _mm256_andnot_si256(below(begin, from), below(end, from));
    return _mm256_blendv_ps(fill, v, floats(inside));
  }
  // Lanes [begin, end) of v, the others `fill`.
  static F keep_range(F v, int begin, int end, F fill) {
    return {keep_range(v.a, begin, end, 0, fill.a), keep_range(v.b, begin, end, 8, fill.b)};
  }
  static float first(F v) { return _mm256_cvtss_f32(v.a); }
  static float reduce_add(F v) {
    const __m256 eight = _mm256_add_ps(v.a, v.b);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float reduce_max(F v) {
    const __m256 eight = _mm256_max_ps(v.a, v.b);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  static __m256 widen(const uint16_t* p) {
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return floats(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
  }
  static F load_bf16(const uint16_t* p) { return {widen(p), widen(p + 8)}; }
  static __m256i words(const char* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static F even_bf16(const char* line) {
    return {floats(_mm256_slli_epi32(words(line), 16)),
            floats(_mm256_slli_epi32(words(line + 32), 16))};
  }
  static __m256 high_half(__m256i v) {
    // Shifted out and back in, so that no register is spent on a mask.
    return floats(_mm256_slli_epi32(_mm256_srli_epi32(v, 16), 16));
  }
  static F odd_bf16(const char* line) {
    return {high_half(words(line)), high_half(words(line + 32))};
  }
  static __m256 round_bf16(__m256 v) {
    const __m256i b = bits(v);
    const __m256i lsb = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(_mm256_add_epi32(b, lsb), _mm256_set1_epi32(0x7fff));
    const __m256 quiet = floats(_mm256_or_si256(b, _mm256_set1_epi32(0x400000)));
    const __m256 kept = _mm256_blendv_ps(floats(up), quiet, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    return _mm256_and_ps(kept, floats(_mm256_set1_epi32(-65536)));
  }
  static void store_input(void* out, int64_t i, F v) {
    store(static_cast<float*>(out) + i, {round_bf16(v.a), round_bf16(v.b)});
  }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/table.h"

namespace lapidary::cpu {

extern const Kernels kAvx2Kernels;
constinit const Kernels kAvx2Kernels = make_kernels<WideBf16, 1>("avx2", false);

}  // namespace lapidary::cpu
