#include "server/api/repetition_breaker.h"

#include <algorithm>

namespace lapidary {
namespace {

constexpr int kMinRounds = 4;

}  // namespace

RepetitionBreaker::RepetitionBreaker(const RepetitionLimits& limits)
    : limits_(limits),
      last_(static_cast<size_t>(limits.max_period), -1),
      runs_(static_cast<size_t>(limits.max_period), 0) {}

void RepetitionBreaker::push(int32_t token) {
  if (last_.empty() || is_broken_) return;
  const size_t size = last_.size();
  const auto at = static_cast<size_t>(n_tokens_ % static_cast<int64_t>(size));
  ++n_tokens_;
  for (size_t period = 1; period <= size; ++period) {
    int& run = runs_[period - 1];
    run = last_[(at + size - period) % size] == token ? run + 1 : 0;
    const int length = static_cast<int>(period);
    const int wanted = std::max(limits_.min_tokens, kMinRounds * length);
    if (run + length >= wanted && n_tokens_ >= limits_.from_tokens) is_broken_ = true;
  }
  last_[at] = token;
}

}  // namespace lapidary
