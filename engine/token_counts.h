// How often each token stands in the prompt (repetition penalty) and in the answer (all penalties)
// of one sequence. Only kept when a penalty asks for it. Engine thread.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/sample.h"

namespace lapidary {

class TokenCounts {
 public:
  void add_prompt(std::span<const int32_t> tokens);
  void add_output(int32_t token);

  // Each token once, in the order of first appearance; walked for every draw, so kept flat.
  std::span<const TokenCount> counts() const { return counts_; }

 private:
  TokenCount& of(int32_t token);

  std::vector<TokenCount> counts_;
  std::unordered_map<int32_t, size_t> places_;  // in counts_
};

}  // namespace lapidary
