#include "kernels/cpu/sampling/block_maxima.h"

#include <algorithm>
#include <functional>
#include <limits>

namespace lapidary::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 8;
// Short blocks for a small vocabulary: with few blocks their maxima would hardly select.
constexpr size_t kSmallBlock = 8;
constexpr size_t kLargeBlock = 64;
constexpr size_t kLargeRow = 32768;

// False for NaN, so a NaN never becomes a maximum. Written as the SSE instruction does it.
float larger(float x, float best) { return x > best ? x : best; }

// Independent lanes: floating-point maxima are not reordered by the compiler, lanes need not be.
template <size_t kBlock>
void full_blocks(const float* row, size_t n_blocks, float* maxima) {
  for (size_t b = 0; b < n_blocks; ++b) {
    float lanes[kLanes];
    std::fill_n(lanes, kLanes, -kInf);
    for (size_t i = 0; i < kBlock; i += kLanes) {
      for (size_t j = 0; j < kLanes; ++j) lanes[j] = larger(row[b * kBlock + i + j], lanes[j]);
    }
    for (size_t half = kLanes / 2; half > 0; half /= 2) {
      for (size_t j = 0; j < half; ++j) lanes[j] = larger(lanes[j + half], lanes[j]);
    }
    maxima[b] = lanes[0];
  }
}

}  // namespace

void BlockMaxima::compute(std::span<const float> row) {
  block_ = row.size() >= kLargeRow ? kLargeBlock : kSmallBlock;
  const size_t n_full = row.size() / block_;
  maxima_.assign((row.size() + block_ - 1) / block_, -kInf);
  if (block_ == kLargeBlock) {
    full_blocks<kLargeBlock>(row.data(), n_full, maxima_.data());
  } else {
    full_blocks<kSmallBlock>(row.data(), n_full, maxima_.data());
  }
  for (float x : row.subspan(n_full * block_)) maxima_.back() = larger(x, maxima_.back());
  max_ = -kInf;
  for (float x : maxima_) max_ = larger(x, max_);
}

int32_t BlockMaxima::argmax(std::span<const float> row) const {
  const auto block = std::find(maxima_.begin(), maxima_.end(), max_) - maxima_.begin();
  const auto begin = row.begin() + block * static_cast<std::ptrdiff_t>(block_);
  return static_cast<int32_t>(std::find(begin, row.end(), max_) - row.begin());
}

// A lower bound of the k-th largest logit: k blocks have one at least as large.
float BlockMaxima::kth_block_maximum(int k) {
  if (static_cast<size_t>(k) > maxima_.size()) return -kInf;
  selection_ = maxima_;
  const auto kth = selection_.begin() + (k - 1);
  std::nth_element(selection_.begin(), kth, selection_.end(), std::greater<>());
  return *kth;
}

void BlockMaxima::top(std::span<const float> row, int k, std::vector<Candidate>* out) {
  out->clear();
  if (k == 0) return;
  const auto wanted = static_cast<size_t>(k);
  const float bound = kth_block_maximum(k);

  // What is above the bound stands in fewer than k blocks. What equals it is only counted up to k,
  // so that a row of equal logits costs no more than another.
  std::vector<Candidate>& found = *out;
  const auto scan = [&](auto is_wanted, size_t limit) {
    for (size_t b = 0; b < maxima_.size() && found.size() < limit; ++b) {
      if (maxima_[b] < bound) continue;
      const size_t end = std::min(row.size(), (b + 1) * block_);
      for (size_t i = b * block_; i < end && found.size() < limit; ++i) {
        if (is_wanted(row[i])) found.push_back({row[i], static_cast<int32_t>(i)});
      }
    }
  };
  scan([bound](float x) { return x > bound; }, row.size());
  if (found.size() < wanted && bound > -kInf) scan([bound](float x) { return x == bound; }, wanted);

  if (found.size() > wanted) {
    std::nth_element(found.begin(), found.begin() + k, found.end(), ranks_before);
    found.resize(wanted);
  }
  std::sort(found.begin(), found.end(), ranks_before);
}

}  // namespace lapidary::cpu
