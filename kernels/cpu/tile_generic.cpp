// Any processor: sixteen floats as the compiler's own vector type, multiply and add apart.
#include <cstdint>

#include "kernels/cpu/isa.h"

namespace lapidary::cpu {
namespace {

struct Lanes {
  using F = float __attribute__((vector_size(64)));
  using I = int32_t __attribute__((vector_size(64)));
  using U16 = uint16_t __attribute__((vector_size(32)));
  static constexpr int kTileRows = 2;
  static constexpr int kTileLines = 1;

  static I bits(const F& v) { return reinterpret_cast<const I&>(v); }
  static F floats(const I& v) { return reinterpret_cast<const F&>(v); }
  static F pick(const I& mask, const F& yes, const F& no) {
    return floats((mask & bits(yes)) | (~mask & bits(no)));
  }
  static I iota() { return I{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

  static F zero() { return F{}; }
  static F set1(float x) { return F{} + x; }
  static F load(const float* p) {
    F v;
    __builtin_memcpy(&v, p, 64);
    return v;
  }
  static F load_n(const float* p, int n) {
    F v{};
    for (int i = 0; i < n; ++i) v[i] = p[i];
    return v;
  }
  static void store(float* p, F v) { __builtin_memcpy(p, &v, 64); }
  static void store_n(float* p, F v, int n) {
    if (n >= kLanes) return store(p, v);
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  static F add(F a, F b) { return a + b; }
  static F sub(F a, F b) { return a - b; }
  static F mul(F a, F b) { return a * b; }
  static F div(F a, F b) { return a / b; }
  static F fma(F a, F b, F c) { return a * b + c; }
  // The second operand where either is NaN.
  static F min(F a, F b) { return pick(a < b, a, b); }
  static F max(F a, F b) { return pick(a > b, a, b); }
  static F abs(F v) { return floats(bits(v) & 0x7fffffff); }
  static F copy_sign(F magnitude, F sign) {
    return floats((bits(magnitude) & 0x7fffffff) | (bits(sign) & ~0x7fffffff));
  }
  static F select_less(F a, F b, F yes, F no) { return pick(a < b, yes, no); }
  // p * 2^n, n standing in the low mantissa bits of `shifted`.
  static F scale_pow2(F p, F shifted) { return floats(bits(p) + (bits(shifted) << 23)); }
  // Lanes [begin, end) of v, the others `fill`.
  static F keep_range(F v, int begin, int end, F fill) {
    return pick((iota() >= begin) & (iota() < end), v, fill);
  }
  static float first(F v) { return v[0]; }
  static float reduce_add(F v) {
    float s[8];
    for (int i = 0; i < 8; ++i) s[i] = v[i] + v[i + 8];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  }
  static float reduce_max(F v) {
    float top = v[0];
    for (int i = 1; i < kLanes; ++i) top = v[i] > top ? v[i] : top;
    return top;
  }

  static F load_bf16(const uint16_t* p) {
    U16 half;
    __builtin_memcpy(&half, p, 32);
    return floats(__builtin_convertvector(half, I) << 16);
  }
  static F even_bf16(const char* line) {
    I v;
    __builtin_memcpy(&v, line, 64);
    return floats(v << 16);
  }
  static F odd_bf16(const char* line) {
    I v;
    __builtin_memcpy(&v, line, 64);
    return floats(v & -65536);
  }
  static void store_input(void* out, int64_t i, F v) {
    const I b = bits(v);
    const I up = b + 0x7fff + ((b >> 16) & 1);
    const F kept = pick(v != v, floats(b | 0x400000), floats(up));
    store(static_cast<float*>(out) + i, floats(bits(kept) & -65536));
  }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/table.h"

namespace lapidary::cpu {

extern const Kernels kGenericKernels;
constinit const Kernels kGenericKernels = make_kernels<WideBf16, 1>("generic", false);

}  // namespace lapidary::cpu
