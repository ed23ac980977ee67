// The draws of one block of rows, flattened to what Backend::sample takes: from each sequence's
// SamplingParams, counts and rules into lists that one upload can carry. Engine thread.
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
  explicit SampleBatch(int64_t vocab) : n_words_((static_cast<size_t>(vocab) + 31) / 32) {}

  void clear();

  // The next token of `s`, from the logits in `row`. Rows come in ascending order. False: its rules
  // allow none, and nothing was added.
  bool add_draw(Sequence& s, int64_t row);
  // The logprob of `token`, a token of the prompt of `s`.
  void add_score(Sequence& s, int64_t row, int32_t token);

  bool empty() const { return draws_.empty(); }
  size_t size() const { return draws_.size(); }
  Sequence& sequence(size_t i) const { return *sequences_[i]; }
  bool is_score(size_t i) const { return draws_[i].scored >= 0; }

  // Valid until the next change.
  SampleArgs args(const Tensor& logits) const;

 private:
  bool add_mask(const Sequence& s);
  void add_bans(const Sequence& s, SampleDraw& draw);

  const size_t n_words_;  // of a mask
  std::vector<SampleDraw> draws_;
  std::vector<Sequence*> sequences_;  // of each draw
  std::vector<TokenCount> counts_;
  std::vector<TokenBias> biases_;
  std::vector<int32_t> banned_;
  std::vector<uint32_t> masks_;
};

}  // namespace lapidary
