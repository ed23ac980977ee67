// The oracle of Backend::sample: a full sort and double precision, in the order that
// kernels/sample.h states. Nothing here is fast.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/sample.h"

namespace lapidary {

// A row, what is drawn from it, and the lists of the draw.
struct SampleCase {
  std::vector<float> row;
  SampleDraw draw;
  std::vector<TokenCount> counts;
  std::vector<TokenBias> biases;
  std::vector<int32_t> banned;
  std::vector<uint32_t> mask;  // empty: all are allowed
};

namespace reference {

struct Distribution {
  std::vector<double> probability;  // [vocab]; 0 for what is cut off
  // How near the nearest candidate is to a limit of top_p or min_p, as a share: where it is of the
  // size of float rounding, either side of the limit is right.
  double margin = 1.0;
};

inline std::vector<float> edited(const SampleCase& c) {
  std::vector<float> logits = c.row;
  for (const TokenCount& count : c.counts) {
    float& x = logits[count.token];
    x = x > 0 ? x / c.draw.repetition_penalty : x * c.draw.repetition_penalty;
    x -= c.draw.frequency_penalty * static_cast<float>(count.output);
    x -= c.draw.presence_penalty * (count.output > 0 ? 1.0F : 0.0F);
  }
  for (const auto& [id, bias] : c.biases) logits[id] += bias;
  const float out = -std::numeric_limits<float>::infinity();
  for (int32_t id : c.banned) {
    if (static_cast<size_t>(id) < logits.size()) logits[id] = out;
  }
  for (size_t id = 0; id < logits.size() && !c.mask.empty(); ++id) {
    if ((c.mask[id / 32] >> (id % 32) & 1U) == 0) logits[id] = out;
  }
  return logits;
}

// Ids by descending logit, ties by ascending id; without NaN and -inf.
inline std::vector<int32_t> ranking(std::span<const float> logits) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -std::numeric_limits<float>::infinity()) {
      order.push_back(static_cast<int32_t>(i));
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  return order;
}

// Of edited, finite (or -inf, NaN) logits. REQUIRES: temperature > 0, one finite logit.
inline Distribution distribution(std::span<const float> logits, const SampleDraw& params) {
  std::vector<int32_t> order = ranking(logits);
  if (params.top_k > 0 && order.size() > static_cast<size_t>(params.top_k)) {
    order.resize(params.top_k);
  }
  std::vector<double> weights;
  double total = 0.0;
  for (int32_t id : order) {
    const double distance = static_cast<double>(logits[order[0]]) - static_cast<double>(logits[id]);
    weights.push_back(std::exp(-distance / static_cast<double>(params.temperature)));
    total += weights.back();
  }
  Distribution result{.probability = std::vector<double>(logits.size(), 0.0)};
  double before = 0.0;
  double kept = 0.0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double share = before / total;
    before += weights[i];
    if (params.top_p < 1.0F && i > 0) {
      result.margin = std::min(result.margin, std::abs(share - params.top_p));
      if (share >= params.top_p) break;
    }
    if (params.min_p > 0.0F && i > 0 && weights[i] != 1.0) {
      result.margin = std::min(result.margin, std::abs(weights[i] / params.min_p - 1.0));
      if (weights[i] < params.min_p) break;
    }
    result.probability[order[i]] = weights[i];
    kept += weights[i];
  }
  for (double& p : result.probability) p /= kept;
  return result;
}

// log_softmax of the whole row; -inf for NaN and -inf. REQUIRES: no +inf.
inline std::vector<double> logprobs(std::span<const float> logits) {
  const std::vector<int32_t> order = ranking(logits);
  std::vector<double> result(logits.size(), -std::numeric_limits<double>::infinity());
  if (order.empty()) return result;
  double sum = 0.0;
  const auto max = static_cast<double>(logits[order[0]]);
  for (int32_t id : order) sum += std::exp(static_cast<double>(logits[id]) - max);
  for (int32_t id : order) result[id] = static_cast<double>(logits[id]) - max - std::log(sum);
  return result;
}

}  // namespace reference
}  // namespace lapidary
