// Plain twin of rope_table and of the rotation in qkv, in double precision.
#pragma once

#include <cmath>
#include <vector>

namespace lapidary::reference {

// The angle is rounded to float once: that is the model, not an error.
inline double rope_angle(int position, float inv_freq) {
  return static_cast<double>(static_cast<float>(position) * inv_freq);
}

// Pairs (i, i + n/2) for the angles there are; the other elements stay.
inline void rotate(std::vector<double>& x, const std::vector<double>& angles) {
  const size_t half = x.size() / 2;
  for (size_t i = 0; i < angles.size(); ++i) {
    const double a = x[i];
    const double b = x[i + half];
    x[i] = a * std::cos(angles[i]) - b * std::sin(angles[i]);
    x[i + half] = b * std::cos(angles[i]) + a * std::sin(angles[i]);
  }
}

}  // namespace lapidary::reference
