#include "engine/token_counts.h"

namespace lapidary {

void TokenCounts::add_prompt(std::span<const int32_t> tokens) {
  for (int32_t token : tokens) of(token);
}

void TokenCounts::add_output(int32_t token) { ++of(token).output; }

TokenCount& TokenCounts::of(int32_t token) {
  const auto [place, is_new] = places_.try_emplace(token, counts_.size());
  if (is_new) counts_.push_back({.token = token});
  return counts_[place->second];
}

}  // namespace lapidary
