// AVX-512 with VDPBF16PS: pairs of bf16 products in one instruction.
#include "kernels/cpu/lanes_avx512.h"

namespace lapidary::cpu {
namespace {

struct Lanes : LanesAvx512 {
  static void store_input(void* out, int64_t i, F v) {
    const __m256bh half = _mm512_cvtneps_pbh(v);
    __builtin_memcpy(static_cast<uint16_t*>(out) + i, &half, 32);
  }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/tile.h"

namespace lapidary::cpu {
namespace {

__m512bh as_bf16(__m512i v) {
  __m512bh out;
  __builtin_memcpy(&out, &v, sizeof(out));
  return out;
}

struct DotBf16 {
  using Line = __m512bh;
  static constexpr int kHalves = 1;
  static Line line(const char* panel, int64_t k, int /*half*/) {
    return as_bf16(_mm512_loadu_si512(panel + k * 64));
  }
  static __m512bh input(const void* row, int64_t k, int /*half*/) {
    int32_t pair;
    __builtin_memcpy(&pair, static_cast<const char*>(row) + k * 4, 4);
    return as_bf16(_mm512_set1_epi32(pair));
  }
  static F step(F acc, Line line, __m512bh input) { return _mm512_dpbf16_ps(acc, line, input); }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/table.h"

namespace lapidary::cpu {

extern const Kernels kAvx512Bf16Kernels;
constinit const Kernels kAvx512Bf16Kernels = make_kernels<DotBf16, 2>("avx512bf16", true);

}  // namespace lapidary::cpu
