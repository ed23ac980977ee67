// Plain twins of add_embeddings and pool_rows. [n, hidden] row by row.
#pragma once

#include <cmath>
#include <vector>

#include "tests/reference/linear.h"

namespace lapidary::reference {

// One element of x + the sum of table rows.
inline Bounded sum_of(double x, const std::vector<double>& entries) {
  double value = x;
  double magnitude = std::fabs(x);
  for (const double entry : entries) {
    value += entry;
    magnitude += std::fabs(entry);
  }
  return {value, static_cast<double>(entries.size() + 1) * kUnit * magnitude};
}

// One element of (scale * mean - shift) * factor.
inline Bounded pooled(const std::vector<double>& values, double scale, double shift,
                      double factor) {
  const Bounded sum = sum_of(0, values);
  const double mean = scale * sum.value / static_cast<double>(values.size());
  const double of_sum = std::fabs(scale) * sum.error / static_cast<double>(values.size());
  return {(mean - shift) * factor,
          (of_sum + 6 * kUnit * (std::fabs(mean) + std::fabs(shift))) * std::fabs(factor)};
}

}  // namespace lapidary::reference
