#include "engine/sample_batch.h"

namespace lapidary {
namespace {

// Appends to a list and says where.
template <typename T, typename Items>
ListPart append(std::vector<T>& list, const Items& items) {
  const auto begin = static_cast<int64_t>(list.size());
  list.insert(list.end(), items.begin(), items.end());
  return {.begin = begin, .size = static_cast<int64_t>(items.size())};
}

}  // namespace

bool needs_counts(const SamplingParams& params) {
  return params.presence_penalty != 0.0F || params.frequency_penalty != 0.0F ||
         params.repetition_penalty != 1.0F;
}

void SampleBatch::clear() {
  draws_.clear();
  sequences_.clear();
  counts_.clear();
  biases_.clear();
  banned_.clear();
}

void SampleBatch::add_draw(Sequence& s, int64_t row) {
  const SamplingParams& params = s.request->sampling;
  SampleDraw draw{.row = row,
                  .temperature = params.temperature,
                  .top_k = params.top_k,
                  .top_p = params.top_p,
                  .min_p = params.min_p,
                  .presence_penalty = params.presence_penalty,
                  .frequency_penalty = params.frequency_penalty,
                  .repetition_penalty = params.repetition_penalty,
                  .seed = params.seed,
                  .choice = static_cast<uint32_t>(s.choice),
                  .position = s.n_tokens(),
                  .n_logprobs = params.n_logprobs};
  if (needs_counts(params)) draw.counts = append(counts_, s.counts.counts());
  std::vector<TokenBias> biases;
  for (const auto& [token, bias] : params.logit_bias) biases.push_back({token, bias});
  draw.bias = append(biases_, biases);
  draw.banned = append(banned_, params.suppress_tokens);
  // Stop ids while min_tokens are not reached.
  if (s.n_output() < params.min_tokens) {
    draw.banned.size += append(banned_, s.request->stop_ids).size;
  }
  draws_.push_back(draw);
  sequences_.push_back(&s);
}

void SampleBatch::add_score(Sequence& s, int64_t row, int32_t token) {
  draws_.push_back({.row = row, .n_logprobs = s.request->sampling.n_logprobs, .scored = token});
  sequences_.push_back(&s);
}

SampleArgs SampleBatch::args(const Tensor& logits) const {
  return {.logits = logits,
          .draws = draws_,
          .counts = counts_,
          .biases = biases_,
          .banned = banned_,
          .masks = {}};
}

}  // namespace lapidary
