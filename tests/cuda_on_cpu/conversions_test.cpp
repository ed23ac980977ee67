// bf16 and fp8 conversions against their definition in double precision, for every value.
#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include <cstring>
#include <limits>
#include <random>

#include "tests/catch.h"
#include "tests/reference/rounding.h"

namespace {

float float_of_bits(uint32_t bits) { return std::bit_cast<float>(bits); }

// sign, 4 bits of exponent, 3 of mantissa.
double e4m3_value(int bits) {
  if ((bits & 0x7f) == 0x7f) return std::numeric_limits<double>::quiet_NaN();
  const double sign = (bits & 0x80) != 0 ? -1 : 1;
  const int exponent = bits >> 3 & 15;
  const double fraction = (bits & 7) / 8.0;
  return exponent == 0 ? sign * fraction * std::pow(2, -6)
                       : sign * (1 + fraction) * std::pow(2, exponent - 7);
}

// By looking at every value there is; of two equally near ones the even one.
int nearest_e4m3(double x) {
  int best = 0;
  for (int bits = 1; bits < 0x7f; ++bits) {
    const double nearer = std::fabs(e4m3_value(bits) - std::fabs(x)) -
                          std::fabs(e4m3_value(best) - std::fabs(x));
    if (nearer < 0 || (nearer == 0 && bits % 2 == 0)) best = bits;
  }
  return best | (std::signbit(x) ? 0x80 : 0);
}

}  // namespace

TEST_CASE("every bf16 value survives float and back", "[cuda]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const __nv_bfloat16 x = __ushort_as_bfloat16(static_cast<unsigned short>(bits));
    const float wide = __bfloat162float(x);
    if (std::isnan(float_of_bits(bits << 16))) {
      REQUIRE(std::isnan(wide));
      REQUIRE(__bfloat16_as_ushort(__float2bfloat16_rn(wide)) == 0x7fff);
      continue;
    }
    REQUIRE(wide == float_of_bits(bits << 16));
    REQUIRE(__bfloat16_as_ushort(__float2bfloat16_rn(wide)) == bits);
  }
}

TEST_CASE("floats become the nearest bf16, ties the even one", "[cuda]") {
  std::mt19937 random(1);
  for (uint32_t high = 0; high < 0x10000; ++high) {
    for (const uint32_t low : {0x7fffU, 0x8000U, 0x8001U, static_cast<uint32_t>(random()) & 0xffffU}) {
      const float x = float_of_bits(high << 16 | low);
      const float magnitude = std::fabs(x);
      if (!std::isfinite(x) || magnitude < 0x1p-126F || magnitude > 0x1.fep127F) continue;
      REQUIRE(__bfloat162float(__float2bfloat16_rn(x)) == lapidary::reference::round_bf16(x));
    }
  }
  CHECK(std::isinf(__bfloat162float(__float2bfloat16_rn(std::numeric_limits<float>::max()))));
  CHECK(__bfloat16_as_ushort(__float2bfloat16_rn(float_of_bits(0x00018000))) == 2);  // subnormal tie
}

TEST_CASE("pairs of bf16 keep the lower index in the lower half", "[cuda]") {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(1.0F, -2.0F);
  uint32_t bits = 0;
  std::memcpy(&bits, &pair, sizeof(bits));
  CHECK(bits == 0xc0003f80U);
  CHECK(__low2float(pair) == 1.0F);
  CHECK(__high2float(pair) == -2.0F);
  const float2 wide = __bfloat1622float2(__hadd2(pair, pair));
  CHECK(wide.x == 2.0F);
  CHECK(wide.y == -4.0F);
}

TEST_CASE("every fp8 value is its definition's and survives float and back", "[cuda]") {
  for (int bits = 0; bits < 256; ++bits) {
    __nv_fp8_e4m3 x;
    x.__x = static_cast<unsigned char>(bits);
    const auto wide = static_cast<float>(x);
    if ((bits & 0x7f) == 0x7f) {
      CHECK(std::isnan(wide));
      CHECK(__nv_fp8_e4m3(wide).__x == 0x7f);
      continue;
    }
    CHECK(wide == e4m3_value(bits));
    CHECK(std::signbit(wide) == (bits >= 0x80));
    CHECK(__nv_fp8_e4m3(wide).__x == bits);
  }
}

TEST_CASE("numbers become the nearest fp8 value and saturate", "[cuda]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    for (const uint32_t low : {0U, 1U}) {  // every bf16 value and the float after it
      const float x = float_of_bits(bits << 16 | low);
      if (std::isnan(x)) {
        REQUIRE(__nv_fp8_e4m3(x).__x == 0x7f);
      } else if (std::fabs(x) > 448.0F) {
        REQUIRE(__nv_fp8_e4m3(x).__x == (std::signbit(x) ? 0xfe : 0x7e));
      } else if (std::fabs(x) > 0x1p-14F) {
        REQUIRE(__nv_fp8_e4m3(x).__x == nearest_e4m3(x));
      } else {
        REQUIRE((__nv_fp8_e4m3(x).__x & 0x7f) == 0);
      }
    }
  }
}

TEST_CASE("groups of fp8 values keep their order", "[cuda]") {
  const __nv_fp8x4_e4m3 four(float4{1.0F, -2.0F, 0.5F, 448.0F});
  CHECK(four.__x == 0x7e30c038U);
  const auto back = static_cast<float4>(four);
  CHECK(back.x == 1.0F);
  CHECK(back.y == -2.0F);
  CHECK(back.z == 0.5F);
  CHECK(back.w == 448.0F);
  CHECK(__nv_cvt_float2_to_fp8x2(float2{1.0F, -2.0F}, __NV_SATFINITE, __NV_E4M3) == 0xc038);
}
