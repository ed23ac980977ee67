#include "engine/sample_batch.h"

#include <algorithm>
#include <utility>

namespace lapidary {
namespace {

// Appends to a list and says where.
template <typename T, typename Items>
ListPart append(std::vector<T>& list, const Items& items) {
  const auto begin = static_cast<int64_t>(list.size());
  list.insert(list.end(), items.begin(), items.end());
  return {.begin = begin, .size = static_cast<int64_t>(items.size())};
}

// Clears the ids in `mask`; false, and nothing is changed: no other would be left.
template <typename Ids>
bool clear_if_others_stay(std::span<uint32_t> mask, const Ids& ids) {
  std::vector<std::pair<size_t, uint32_t>> cleared;
  for (const int32_t id : ids) {
    const auto word = static_cast<size_t>(id) / 32;
    if (word >= mask.size()) continue;
    const uint32_t bit = mask[word] & 1U << (static_cast<uint32_t>(id) % 32);
    if (bit == 0) continue;
    mask[word] &= ~bit;
    cleared.emplace_back(word, bit);
  }
  if (std::any_of(mask.begin(), mask.end(), [](uint32_t word) { return word != 0; })) return true;
  for (const auto& [word, bit] : cleared) mask[word] |= bit;
  return false;
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
  masks_.clear();
}

bool SampleBatch::add_draw(Sequence& s, int64_t row) {
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
  if (s.guide && s.guide->needs_mask()) {
    draw.mask = static_cast<int64_t>(masks_.size() / n_words_);
    if (!add_mask(s)) return false;
  } else {
    add_bans(s, draw);
  }
  if (needs_counts(params)) draw.counts = append(counts_, s.counts.counts());
  std::vector<TokenBias> biases;
  for (const auto& [token, bias] : params.logit_bias) biases.push_back({token, bias});
  draw.bias = append(biases_, biases);
  draws_.push_back(draw);
  sequences_.push_back(&s);
  return true;
}

void SampleBatch::add_bans(const Sequence& s, SampleDraw& draw) {
  draw.banned = append(banned_, s.request->sampling.suppress_tokens);
  // Stop ids while min_tokens are not reached.
  if (s.n_output() < s.request->sampling.min_tokens) append(banned_, s.request->stop_ids);
  if (s.guide) s.guide->add_banned(banned_);
  draw.banned.size = static_cast<int64_t>(banned_.size()) - draw.banned.begin;
}

// Bans are cleared in the mask itself: what a grammar needs goes before min_tokens and ignore_eos,
// and what is left is known not to be empty.
bool SampleBatch::add_mask(const Sequence& s) {
  const size_t begin = masks_.size();
  masks_.resize(begin + n_words_);
  const std::span<uint32_t> mask = std::span(masks_).subspan(begin);
  s.guide->allow(mask);
  const SamplingParams& params = s.request->sampling;
  const bool goes_on = s.n_output() < params.min_tokens;
  if (clear_if_others_stay(mask, params.suppress_tokens)) {
    if (goes_on) clear_if_others_stay(mask, s.request->stop_ids);
    if (goes_on || s.guide->avoids_end()) clear_if_others_stay(mask, s.guide->ends());
    return true;
  }
  masks_.resize(begin);
  return false;
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
          .masks = masks_};
}

}  // namespace lapidary
