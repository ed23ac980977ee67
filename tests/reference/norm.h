// Plain twin of the norms, in double precision.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace lapidary::reference {

// weight may be null: ones.
inline std::vector<double> rms_norm(const std::vector<double>& x, const float* weight, double eps) {
  double squares = 0;
  for (double v : x) squares += v * v;
  const double scale = 1 / std::sqrt(squares / static_cast<double>(x.size()) + eps);
  std::vector<double> out(x.size());
  for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * scale * (weight ? weight[i] : 1.0);
  return out;
}

inline std::vector<double> widen(const float* x, int64_t n) { return {x, x + n}; }

}  // namespace lapidary::reference
