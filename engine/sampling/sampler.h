// From one row of logits to one token, as SamplingParams say: penalties, bias, suppression,
// temperature, top-k, top-p, min-p, a counter-based random number, logprobs. No full sort of the
// vocabulary anywhere. Engine thread; a Sampler holds only scratch space and no request's state.
//
// Order (transformers 5.23): repetition penalty, presence/frequency penalty, bias, suppress,
// temperature, top_k, top_p, min_p. Logprobs are those of the raw capped logits at temperature 1.
// A draw depends on (seed, choice, position) alone: never on what else is in the batch.
//
// Logits: NaN counts as -inf; of several +inf the draw is uniform. A token that is suppressed or
// forbidden, or whose logit is -inf, is never drawn, unless the whole row is so: then the answer is
// the lowest id that is neither suppressed nor forbidden (0 when every id is). Ids outside the row
// in counts, bias, suppressed and forbidden ids are no tokens of this row and change nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/request.h"
#include "engine/sampling/block_maxima.h"
#include "engine/sampling/nucleus.h"

namespace lapidary {

// How often each token stands in the prompt (repetition penalty) and in the answer (all
// penalties) of one sequence. Only kept when a penalty asks for it.
class TokenCounts {
 public:
  void add_prompt(std::span<const int32_t> tokens);
  void add_output(int32_t token);

  struct Count {
    int32_t token = 0;
    int32_t output = 0;
  };
  // Each token once, in the order of first appearance; walked for every draw, so kept flat.
  std::span<const Count> counts() const { return counts_; }

 private:
  Count& of(int32_t token);

  std::vector<Count> counts_;
  std::unordered_map<int32_t, size_t> places_;  // in counts_
};

struct SampleInput {
  std::span<float> logits;  // [vocab], capped; changed in place
  const SamplingParams* params = nullptr;
  const TokenCounts* counts = nullptr;  // null without penalties
  std::span<const int32_t> forbidden;   // stop ids while min_tokens are not reached
  uint64_t seed = 0;
  uint32_t choice = 0;   // of the request's n: a stream of draws of its own
  int64_t position = 0;  // of the token to be drawn, in the sequence
};

struct Sampled {
  int32_t token = 0;
  std::optional<float> logprob;   // when params->n_logprobs >= 0; -inf for a logit of -inf
  std::vector<TokenLogprob> top;  // n_logprobs largest, descending; ties: lower id first; none
                                  // of -inf, so fewer when the row has fewer
};

class Sampler {
 public:
  Sampled sample(const SampleInput& input);

  // Logprob of `token` and the k largest of one row of logits: for prompts. k <= 0: none.
  static Sampled score(std::span<const float> logits, int32_t token, int k);

 private:
  void edit(const SampleInput& input);
  void change(std::span<float> logits, int32_t id, float value);
  int32_t draw(const SampleInput& input);
  int32_t draw_finite(const SampleInput& input);
  int32_t draw_from_top(const SampleInput& input, double max_distance, double u);

  std::vector<std::pair<int32_t, float>> raw_;  // what edit() changed, before it did; for logprobs
  bool keeps_raw_ = false;
  BlockMaxima maxima_;
  Nucleus nucleus_;
  std::vector<Candidate> candidates_;
  std::vector<double> weights_;
};

}  // namespace lapidary
