// Plain twin of linear, geglu_linear and logits, in double precision, with error bounds for
// float32 accumulation.
#pragma once

#include <cmath>
#include <limits>

#include "tests/reference/rounding.h"

namespace lapidary::reference {

// A value and how far float32 arithmetic may stray from it.
struct Bounded {
  double value = 0;
  double error = 0;
};

constexpr double kUnit = std::numeric_limits<float>::epsilon();

// Rounding errors of n additions behave like a random walk; four times its width.
inline Bounded dot(const float* x, const float* w, int64_t n, bool round_x) {
  Bounded out;
  double magnitude = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double product = rounded(x[i], round_x) * w[i];
    out.value += product;
    magnitude += std::fabs(product);
  }
  out.error = kUnit * (4 + 2 * std::sqrt(static_cast<double>(n))) * magnitude;
  return out;
}

inline double gelu_tanh(double x) {
  const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return x / (1 + std::exp(-2 * u));  // = x (1 + tanh u) / 2, without its cancellation
}

// The slope of gelu stays below 1.13. Far below zero its value is an exponential, whose relative
// error is the absolute error of the exponent, which grows with the cube of the gate.
inline Bounded geglu(Bounded gate, Bounded up) {
  Bounded out;
  out.value = gelu_tanh(gate.value) * up.value;
  const double exponent = std::fabs(gate.value * (1.6 + 0.08 * gate.value * gate.value));
  out.error = 1.13 * gate.error * (std::fabs(up.value) + up.error) +
              std::fabs(gelu_tanh(gate.value)) * up.error +
              (32 + 4 * exponent) * kUnit * std::fabs(out.value) + 1e-30;
  return out;
}

inline Bounded soft_cap(Bounded x, double cap) {
  if (cap == 0) return x;
  const double value = cap * std::tanh(x.value / cap);
  return {value, x.error + 8 * kUnit * std::fabs(value)};
}

}  // namespace lapidary::reference
