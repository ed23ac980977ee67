// 64-bit Arm: a line is four registers, so the tile is one panel wide.
#include <arm_neon.h>

#include "kernels/cpu/isa.h"

namespace lapidary::cpu {
namespace {

struct Lanes {
  struct F {
    float32x4_t v[4];
  };
  static constexpr int kTileRows = 6;
  static constexpr int kTileLines = 1;

  template <class Body>
  static F each(const Body& body) {
    return {{body(0), body(1), body(2), body(3)}};
  }
  static uint32x4_t bits(float32x4_t v) { return vreinterpretq_u32_f32(v); }
  static float32x4_t floats(uint32x4_t v) { return vreinterpretq_f32_u32(v); }
  // All ones in the lanes below n; j is the register.
  static uint32x4_t below(int n, int j) {
    const int32x4_t iota = {0, 1, 2, 3};
    return vcltq_s32(iota, vdupq_n_s32(n - 4 * j));
  }

  static F zero() { return set1(0); }
  static F set1(float x) {
    return each([&](int) { return vdupq_n_f32(x); });
  }
  static F load(const float* p) {
    return each([&](int j) { return vld1q_f32(p + 4 * j); });
  }
  static F load_n(const float* p, int n) {
    if (n >= kLanes) return load(p);
    float full[kLanes] = {};
    for (int i = 0; i < n; ++i) full[i] = p[i];
    return load(full);
  }
  static void store(float* p, F x) {
    for (int j = 0; j < 4; ++j) vst1q_f32(p + 4 * j, x.v[j]);
  }
  static void store_n(float* p, F x, int n) {
    if (n >= kLanes) return store(p, x);
    float full[kLanes];
    store(full, x);
    for (int i = 0; i < n; ++i) p[i] = full[i];
  }
  static F add(F x, F y) {
    return each([&](int j) { return vaddq_f32(x.v[j], y.v[j]); });
  }
  static F sub(F x, F y) {
    return each([&](int j) { return vsubq_f32(x.v[j], y.v[j]); });
  }
  static F mul(F x, F y) {
    return each([&](int j) { return vmulq_f32(x.v[j], y.v[j]); });
  }
  static F div(F x, F y) {
    return each([&](int j) { return vdivq_f32(x.v[j], y.v[j]); });
  }
  static F fma(F x, F y, F z) {
    return each([&](int j) { return vfmaq_f32(z.v[j], x.v[j], y.v[j]); });
  }
  static F min(F x, F y) {
    return each([&](int j) { return vminq_f32(x.v[j], y.v[j]); });
  }
  static F max(F x, F y) {
    return each([&](int j) { return vmaxq_f32(x.v[j], y.v[j]); });
  }
  static F abs(F x) {
    return each([&](int j) { return vabsq_f32(x.v[j]); });
  }
  static F copy_sign(F magnitude, F sign) {
    const uint32x4_t mask = vdupq_n_u32(0x80000000U);
    return each([&](int j) { return vbslq_f32(mask, sign.v[j], magnitude.v[j]); });
  }
  static F select_less(F x, F y, F yes, F no) {
    return each([&](int j) { return vbslq_f32(vcltq_f32(x.v[j], y.v[j]), yes.v[j], no.v[j]); });
  }
  // p * 2^n, n standing in the low mantissa bits of `shifted`.
  static F scale_pow2(F p, F shifted) {
    return each([&](int j) {
      return floats(vaddq_u32(bits(p.v[j]), vshlq_n_u32(bits(shifted.v[j]), 23)));
    });
  }
  // Lanes [begin, end) of x, the others `fill`.
  static F keep_range(F x, int begin, int end, F fill) {
    return each([&](int j) {
      return vbslq_f32(vbicq_u32(below(end, j), below(begin, j)), x.v[j], fill.v[j]);
    });
  }
  static float first(F x) { return vgetq_lane_f32(x.v[0], 0); }
  static float reduce_add(F x) {
    return vaddvq_f32(vaddq_f32(vaddq_f32(x.v[0], x.v[1]), vaddq_f32(x.v[2], x.v[3])));
  }
  static float reduce_max(F x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.v[0], x.v[1]), vmaxq_f32(x.v[2], x.v[3])));
  }

  static F load_bf16(const uint16_t* p) {
    return each([&](int j) { return floats(vshll_n_u16(vld1_u16(p + 4 * j), 16)); });
  }
  static uint32x4_t words(const char* line, int j) {
    return vreinterpretq_u32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(line) + 16 * j));
  }
  static F even_bf16(const char* line) {
    return each([&](int j) { return floats(vshlq_n_u32(words(line, j), 16)); });
  }
  static F odd_bf16(const char* line) {
    const uint32x4_t high = vdupq_n_u32(0xffff0000U);
    return each([&](int j) { return floats(vandq_u32(words(line, j), high)); });
  }
  static float32x4_t round_bf16(float32x4_t v) {
    const uint32x4_t b = bits(v);
    const uint32x4_t lsb = vandq_u32(vshrq_n_u32(b, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(vaddq_u32(b, lsb), vdupq_n_u32(0x7fff));
    const uint32x4_t quiet = vorrq_u32(b, vdupq_n_u32(0x400000));
    const uint32x4_t kept = vbslq_u32(vceqq_f32(v, v), up, quiet);
    return floats(vandq_u32(kept, vdupq_n_u32(0xffff0000U)));
  }
  static void store_input(void* out, int64_t i, F x) {
    store(static_cast<float*>(out) + i, each([&](int j) { return round_bf16(x.v[j]); }));
  }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/table.h"

namespace lapidary::cpu {

extern const Kernels kNeonKernels;
constinit const Kernels kNeonKernels = make_kernels<WideBf16, 1>("neon", false);

}  // namespace lapidary::cpu
