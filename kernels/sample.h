// What a draw is: the arguments and results of Backend::sample, plain data in the host's memory.
//
// Order (transformers 5.23): repetition penalty, presence/frequency penalty, bias, bans and mask,
// temperature, top_k, top_p, min_p. Logprobs are those of the row as it came, at temperature 1.
// A draw depends on its row and its own fields alone, never on what else is in the call; its random
// number (Philox4x32-10) on (seed, choice, position) alone.
//
// Logits: NaN counts as -inf; of several +inf the draw is uniform. A token that is banned or masked
// out, or whose logit is -inf, is never drawn, unless the whole row is so: then the answer is the
// lowest id that is neither banned nor masked out (0 when every id is). Ids outside the row in
// counts, bias and bans are no tokens of this row and change nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/tensor.h"

namespace lapidary {

// How often a token stands in the answer so far. One with 0 stands in the prompt alone.
struct TokenCount {
  int32_t token = 0;
  int32_t output = 0;
};

struct TokenBias {
  int32_t token = 0;
  float bias = 0.0F;
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0.0F;
};

// Part of one of SampleArgs' lists.
struct ListPart {
  int64_t begin = 0;
  int64_t size = 0;

  template <typename T>
  std::span<const T> of(std::span<const T> list) const {
    return list.subspan(static_cast<size_t>(begin), static_cast<size_t>(size));
  }
};

struct SampleDraw {
  int64_t row = 0;           // of SampleArgs::logits
  float temperature = 1.0F;  // 0: greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1.0F;
  float min_p = 0.0F;
  float presence_penalty = 0.0F;  // these two: of tokens in the answer
  float frequency_penalty = 0.0F;
  float repetition_penalty = 1.0F;  // of every token in `counts`
  uint64_t seed = 0;
  uint32_t choice = 0;      // of a request's n: a stream of draws of its own
  int64_t position = 0;     // of the token to be drawn, in the sequence
  int32_t n_logprobs = -1;  // -1: none; k >= 0: the token's and the k largest
  int32_t scored = -1;      // >= 0: nothing is drawn; this is the token whose logprob is wanted
  int64_t mask = -1;        // row of SampleArgs::masks; -1: all are allowed
  ListPart counts;          // each token once
  ListPart bias;            // several of one token add up
  ListPart banned;
};

struct SampleArgs {
  Tensor logits;                      // [n_rows, vocab] f32, capped; not kept
  std::span<const SampleDraw> draws;  // ascending by row, which several may share
  std::span<const TokenCount> counts;
  std::span<const TokenBias> biases;
  std::span<const int32_t> banned;
  std::span<const uint32_t> masks;  // [.., ceil(vocab / 32)]: token t is allowed if bit t % 32 of
                                    // word t / 32 is set

  // Draws ask for this many logprobs at most.
  static constexpr int kMaxLogprobs = 32;
};

struct Sampled {
  int32_t token = 0;
  float logprob = 0.0F;           // of the token, when n_logprobs >= 0; -inf for a logit of -inf
  std::vector<TokenLogprob> top;  // the n_logprobs largest, descending; ties: lower id first; none
                                  // of -inf, so fewer when the row has fewer
};

}  // namespace lapidary
