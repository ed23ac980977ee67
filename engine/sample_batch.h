// The draws of one block of rows, flattened to what Backend::sample takes: from each sequence's
// SamplingParams and counts into lists that one upload can carry. Engine thread.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sequence.h"
#include "kernels/sample.h"

namespace lapidary {

// Whether a penalty reads the sequence's counts.
bool needs_counts(const SamplingParams& params);

class SampleBatch {
 public:
  void clear();

  // The next token of `s`, from the logits in `row`. Rows come in ascending order.
  void add_draw(Sequence& s, int64_t row);
  // The logprob of `token`, a token of the prompt of `s`.
  void add_score(Sequence& s, int64_t row, int32_t token);

  bool empty() const { return draws_.empty(); }
  size_t size() const { return draws_.size(); }
  Sequence& sequence(size_t i) const { return *sequences_[i]; }
  bool is_score(size_t i) const { return draws_[i].scored >= 0; }

  // Valid until the next change.
  SampleArgs args(const Tensor& logits) const;

 private:
  std::vector<SampleDraw> draws_;
  std::vector<Sequence*> sequences_;  // of each draw
  std::vector<TokenCount> counts_;
  std::vector<TokenBias> biases_;
  std::vector<int32_t> banned_;
};

}  // namespace lapidary
