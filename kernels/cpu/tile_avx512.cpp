// AVX-512 without BF16: a bf16 line is expanded to its even and odd inputs.
#include "kernels/cpu/lanes_avx512.h"

namespace lapidary::cpu {
namespace {

struct Lanes : LanesAvx512 {
  static void store_input(void* out, int64_t i, F v) {
    const __m512i b = bits(v);
    const __m512i lsb = _mm512_and_si512(_mm512_srli_epi32(b, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(_mm512_add_epi32(b, lsb), _mm512_set1_epi32(0x7fff));
    const __m512i quiet = _mm512_or_si512(b, _mm512_set1_epi32(0x400000));
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m512i kept = _mm512_mask_blend_epi32(nan, up, quiet);
    store(static_cast<float*>(out) + i, floats(_mm512_and_si512(kept, _mm512_set1_epi32(-65536))));
  }
};

}  // namespace
}  // namespace lapidary::cpu

#include "kernels/cpu/table.h"

namespace lapidary::cpu {

extern const Kernels kAvx512Kernels;
constinit const Kernels kAvx512Kernels = make_kernels<WideBf16, 1>("avx512", false);

}  // namespace lapidary::cpu
