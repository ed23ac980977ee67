// Plain twin of moe_route, in double precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace lapidary::reference {

struct Routing {
  std::vector<int> experts;     // descending probability, lowest index first on ties
  std::vector<double> weights;  // renormalised, times the expert's scale
};

inline Routing route(const std::vector<double>& logits, const float* per_expert_scale, int top_k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  std::vector<double> p(logits.size());
  double all = 0;
  for (size_t e = 0; e < p.size(); ++e) all += p[e] = std::exp(logits[e] - logits[order[0]]);
  double kept = 0;
  for (int j = 0; j < top_k; ++j) kept += p[order[j]] / all;
  Routing out;
  for (int j = 0; j < top_k; ++j) {
    out.experts.push_back(order[j]);
    out.weights.push_back(p[order[j]] / all / kept * per_expert_scale[order[j]]);
  }
  return out;
}

}  // namespace lapidary::reference
