// Rounding to bfloat16 in double precision: the oracle of every "inputs are rounded once".
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace lapidary::reference {

// Nearest value with 8 significant bits, ties to even. Subnormals are not treated.
inline double round_bf16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

// The value of a half float's bits.
inline double half_value(uint16_t bits) {
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 0x3ff;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// The half float nearest to x. REQUIRES: |x| in [2^-24, 65504], or 0.
inline uint16_t half_bits(double x) {
  if (x == 0) return 0;
  int exponent = 0;
  std::frexp(x, &exponent);
  const int unit = std::max(exponent - 11, -24);  // the power of two of the last bit
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(std::fabs(x), -unit)));
  // A mantissa that rounds up to the next power of two carries into the exponent by itself.
  const int bits = unit == -24 ? steps : ((unit + 24) << 10) + steps;
  return static_cast<uint16_t>(bits | (x < 0 ? 0x8000 : 0));
}

inline double rounded(double x, bool to_bf16) { return to_bf16 ? round_bf16(x) : x; }

}  // namespace lapidary::reference
