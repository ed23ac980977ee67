// Notices when an answer goes in a circle: the same run of tokens again and again, which no model
// leaves by itself and which otherwise lasts to the end of the context. One per choice, on the
// thread that serves the request. Exact: tokens, not texts; nothing that differs once is a circle.
#pragma once

#include <cstdint>
#include <vector>

namespace lapidary {

struct RepetitionLimits {
  int max_period = 0;       // longest circle that is noticed, in tokens; 0: none is
  int min_tokens = 512;     // that must have gone in the circle, and at least four rounds
  int64_t from_tokens = 0;  // of the answer: min_tokens of the request

  static constexpr int kMaxPeriod = 1024;
};

class RepetitionBreaker {
 public:
  explicit RepetitionBreaker(const RepetitionLimits& limits);

  void push(int32_t token);
  bool is_broken() const { return is_broken_; }

 private:
  const RepetitionLimits limits_;
  std::vector<int32_t> last_;  // a ring of the last max_period tokens
  std::vector<int> runs_;  // by period - 1: how many tokens so far equalled the one a period ago
  int64_t n_tokens_ = 0;
  bool is_broken_ = false;
};

}  // namespace lapidary
