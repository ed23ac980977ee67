// Rounding to bfloat16 in double precision: the oracle of every "inputs are rounded once".
#pragma once

#include <cmath>

namespace lapidary::reference {

// Nearest value with 8 significant bits, ties to even. Subnormals are not treated.
inline double round_bf16(double x) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  const double mantissa = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

inline double rounded(double x, bool to_bf16) { return to_bf16 ? round_bf16(x) : x; }

}  // namespace lapidary::reference
