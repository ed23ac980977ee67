// Softmax over one row of logits by distance from the largest: weight = exp(-distance /
// temperature). Plain arithmetic that compilers vectorise for any baseline and that no FMA or
// libm version changes, so every machine draws the same token. Relative error of a weight below
// 1e-6 where it is above 1e-9. Any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "kernels/check.h"

namespace lapidary::cpu {

// e^x for x <= 0 (also -inf), 0 below -87: powers of two times a Taylor polynomial of degree 7 on
// [-ln 2 / 2, ln 2 / 2].
inline float exp_negative(float x) {
  constexpr float kLowest = -87.0F;
  constexpr float kRound = 12582912.0F;     // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kLn2High = 0.693359375F;  // 355/512: its product with the exponent is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  const float clamped = x > kLowest ? x : kLowest;
  const float shifted = clamped * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040;
  p = p * r + 1.0F / 720;
  p = p * r + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound);
  const auto scale = std::bit_cast<float>((exponent + 127) << 23);
  return x > kLowest ? p * scale : 0.0F;
}

struct Softmax {
  float max = 0.0F;                  // finite
  float inverse_temperature = 1.0F;  // finite

  // >= 0; infinite for -inf and NaN.
  float distance(float logit) const {
    const float d = max - logit;
    return d >= 0.0F ? d : std::numeric_limits<float>::infinity();
  }
  float weight_at(float distance) const { return exp_negative(-distance * inverse_temperature); }
};

// The index on which `*target` falls when weights are laid end to end; leaves in `*target` what is
// left inside it. Never an index without weight; the last with one where rounding runs past the
// end. REQUIRES: one weight above 0.
template <typename WeightAt>
size_t walk(size_t n, double* target, WeightAt weight_at) {
  size_t reached = n;
  for (size_t i = 0; i < n; ++i) {
    const double weight = weight_at(i);
    if (weight <= 0.0) continue;
    reached = i;
    if (*target < weight) break;
    *target -= weight;
  }
  CHECK(reached < n);
  return reached;
}

// log(sum(exp(row))) with `max` the largest of `row`, finite; NaN counts as -inf.
double log_sum_exp(std::span<const float> row, float max);

// A draw from the whole row, of tokens whose distance is at most `max_distance`, with `u` in
// [0, 1): sums of fixed blocks first, then one block token by token.
int32_t draw_from_row(std::span<const float> row, const Softmax& softmax, float max_distance,
                      double u);

}  // namespace lapidary::cpu
