// Plain twin of attention for one query and head, in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/reference/linear.h"

namespace lapidary::reference {

// keys and values: [n_keys][head_dim] of one kv head. Sees keys (position - window, last]; last -1:
// to its position.
// weight_rounding: relative rounding of each softmax weight before it meets a value; the errors
// of many weights behave like a random walk.
inline std::vector<Bounded> attend(const float* q, bool round_q,
                                   const std::vector<std::vector<float>>& keys,
                                   const std::vector<std::vector<float>>& values, int position,
                                   int window, double weight_rounding = 0, int last = -1) {
  const auto head_dim = static_cast<int64_t>(keys[0].size());
  const int first = window > 0 ? std::max(0, position - window + 1) : 0;
  std::vector<double> scores;
  double score_error = 0;
  for (int j = first; j <= (last < 0 ? position : last); ++j) {
    const Bounded s = dot(q, keys[j].data(), head_dim, round_q);
    scores.push_back(s.value);
    score_error = std::max(score_error, s.error);
  }
  const double top = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - top);
  std::vector<Bounded> out(head_dim);
  const double steps = std::sqrt(static_cast<double>(scores.size()));
  for (int64_t d = 0; d < head_dim; ++d) {
    double magnitude = 0;
    double squares = 0;
    for (size_t j = 0; j < scores.size(); ++j) {
      const double term = scores[j] / sum * values[first + j][d];
      out[d].value += term;
      magnitude += std::fabs(term);
      squares += term * term;
    }
    out[d].error = (2 * score_error + kUnit * (16 + 2 * steps)) * magnitude +
                   weight_rounding * std::min(magnitude, 4 * std::sqrt(squares));
  }
  return out;
}

}  // namespace lapidary::reference
