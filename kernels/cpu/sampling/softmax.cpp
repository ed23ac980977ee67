#include "kernels/cpu/sampling/softmax.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/sampling/clones.h"

namespace lapidary::cpu {
namespace {

constexpr size_t kBlock = 256;
constexpr size_t kLanes = 8;

float allowed_weight(const Softmax& softmax, float logit, float max_distance) {
  const float d = softmax.distance(logit);
  const float weight = softmax.weight_at(d);
  return d <= max_distance ? weight : 0.0F;
}

// Lanes of floats within a block, doubles between blocks: vectorises, and the order of additions
// is the same on every machine.
LAPIDARY_CLONES double block_sum(std::span<const float> block, const Softmax& softmax,
                                 float max_distance) {
  float lanes[kLanes] = {};
  const size_t n_full = block.size() / kLanes * kLanes;
  for (size_t i = 0; i < n_full; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) {
      lanes[j] += allowed_weight(softmax, block[i + j], max_distance);
    }
  }
  double sum = 0.0;
  for (float lane : lanes) sum += static_cast<double>(lane);
  for (float x : block.subspan(n_full)) {
    sum += static_cast<double>(allowed_weight(softmax, x, max_distance));
  }
  return sum;
}

std::span<const float> block_at(std::span<const float> row, size_t start) {
  return row.subspan(start, std::min(kBlock, row.size() - start));
}

}  // namespace

double log_sum_exp(std::span<const float> row, float max) {
  const Softmax softmax{.max = max, .inverse_temperature = 1.0F};
  double sum = 0.0;
  for (size_t start = 0; start < row.size(); start += kBlock) {
    sum += block_sum(block_at(row, start), softmax, std::numeric_limits<float>::infinity());
  }
  return static_cast<double>(max) + std::log(sum);
}

int32_t draw_from_row(std::span<const float> row, const Softmax& softmax, float max_distance,
                      double u) {
  std::vector<double> sums;
  sums.reserve(row.size() / kBlock + 1);
  double total = 0.0;
  for (size_t start = 0; start < row.size(); start += kBlock) {
    sums.push_back(block_sum(block_at(row, start), softmax, max_distance));
    total += sums.back();
  }
  double target = u * total;
  const size_t start = kBlock * walk(sums.size(), &target, [&](size_t b) { return sums[b]; });
  const std::span<const float> block = block_at(row, start);
  const size_t i = walk(block.size(), &target, [&](size_t at) {
    return static_cast<double>(allowed_weight(softmax, block[at], max_distance));
  });
  return static_cast<int32_t>(start + i);
}

}  // namespace lapidary::cpu
