#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/sampling/random.h"
#include "engine/sampling/softmax.h"
#include "kernels/check.h"

namespace lapidary {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
// Up to here the survivors of top_k are sorted; beyond, the nucleus's buckets are cheaper.
constexpr int kSortedTopK = 1024;

bool is_in_row(std::span<const float> row, int32_t id) {
  return id >= 0 && static_cast<size_t>(id) < row.size();
}

bool contains(std::span<const int32_t> ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// As vLLM: repetition over prompt and answer, the other two over the answer.
float penalized(float logit, const TokenCounts::Count& count, const SamplingParams& params) {
  const float r = params.repetition_penalty;
  float value = logit > 0.0F ? logit / r : logit * r;
  value -= params.frequency_penalty * static_cast<float>(count.output);
  if (count.output > 0) value -= params.presence_penalty;
  return value;
}

int32_t lowest_allowed(const SampleInput& input) {
  const auto n = static_cast<int32_t>(input.logits.size());
  for (int32_t id = 0; id < n; ++id) {
    if (!contains(input.params->suppress_tokens, id) && !contains(input.forbidden, id)) return id;
  }
  return 0;
}

// Infinitely likely tokens share everything; finite logits are what the softmax needs.
void settle_infinity(std::span<float> row) {
  for (float& x : row) x = x == kInf ? 0.0F : -kInf;
}

// What log-probabilities of one row need: one pass for the maxima, one for the sum.
class RowLogprobs {
 public:
  RowLogprobs(std::span<const float> row, BlockMaxima* maxima) : row_(row), maxima_(maxima) {
    maxima_->compute(row);
    is_infinite_ = maxima_->max() == kInf;
    if (is_infinite_) {
      log_sum_ = std::log(static_cast<double>(std::count(row.begin(), row.end(), kInf)));
    } else if (maxima_->max() > -kInf) {
      log_sum_ = log_sum_exp(row, maxima_->max());
    }
  }

  float of(float logit) const {
    if (std::isnan(logit) || logit == -kInf) return -kInf;
    if (!is_infinite_) return static_cast<float>(static_cast<double>(logit) - log_sum_);
    return logit == kInf ? static_cast<float>(-log_sum_) : -kInf;
  }

  std::vector<TokenLogprob> top(int k) const {
    std::vector<Candidate> candidates;
    maxima_->top(row_, std::max(k, 0), &candidates);
    std::vector<TokenLogprob> top;
    top.reserve(candidates.size());
    for (const Candidate& c : candidates) {
      const float logprob = of(c.value);
      if (logprob > -kInf) top.push_back({c.id, logprob});
    }
    return top;
  }

 private:
  std::span<const float> row_;
  BlockMaxima* maxima_;
  bool is_infinite_ = false;
  double log_sum_ = 0.0;
};

}  // namespace

void TokenCounts::add_prompt(std::span<const int32_t> tokens) {
  for (int32_t token : tokens) of(token);
}

void TokenCounts::add_output(int32_t token) { ++of(token).output; }

TokenCounts::Count& TokenCounts::of(int32_t token) {
  const auto [place, is_new] = places_.try_emplace(token, counts_.size());
  if (is_new) counts_.push_back({.token = token});
  return counts_[place->second];
}

Sampled Sampler::sample(const SampleInput& input) {
  CHECK(!input.logits.empty() && input.params != nullptr);
  if (input.params->n_logprobs < 0) {
    edit(input);
    return {.token = draw(input)};
  }
  const RowLogprobs raw(input.logits, &maxima_);
  Sampled sampled{.top = raw.top(input.params->n_logprobs)};
  edit(input);
  sampled.token = draw(input);
  // The first record of a token is its raw logit; without one the row still holds it.
  const auto changed = std::find_if(
      raw_.begin(), raw_.end(), [&](const auto& record) { return record.first == sampled.token; });
  sampled.logprob = raw.of(changed != raw_.end() ? changed->second : input.logits[sampled.token]);
  return sampled;
}

Sampled Sampler::score(std::span<const float> logits, int32_t token, int k) {
  CHECK(is_in_row(logits, token));
  BlockMaxima maxima;
  const RowLogprobs logprobs(logits, &maxima);
  return {.token = token, .logprob = logprobs.of(logits[token]), .top = logprobs.top(k)};
}

void Sampler::change(std::span<float> logits, int32_t id, float value) {
  if (keeps_raw_) raw_.emplace_back(id, logits[id]);
  logits[id] = value;
}

void Sampler::edit(const SampleInput& input) {
  const SamplingParams& params = *input.params;
  const std::span<float> logits = input.logits;
  raw_.clear();
  keeps_raw_ = params.n_logprobs >= 0;
  if (input.counts != nullptr) {
    for (const TokenCounts::Count& count : input.counts->counts()) {
      const int32_t id = count.token;
      if (is_in_row(logits, id)) change(logits, id, penalized(logits[id], count, params));
    }
  }
  for (const auto& [id, bias] : params.logit_bias) {
    if (is_in_row(logits, id)) change(logits, id, logits[id] + bias);
  }
  for (const std::span<const int32_t> banned :
       {std::span(params.suppress_tokens), input.forbidden}) {
    for (int32_t id : banned) {
      if (is_in_row(logits, id)) change(logits, id, -kInf);
    }
  }
}

int32_t Sampler::draw(const SampleInput& input) {
  const SamplingParams& params = *input.params;
  const std::span<float> row = input.logits;
  maxima_.compute(row);
  if (maxima_.max() == -kInf) return lowest_allowed(input);
  if (params.temperature <= 0.0F) return maxima_.argmax(row);
  if (maxima_.max() < kInf) return draw_finite(input);
  settle_infinity(row);
  maxima_.compute(row);
  const int32_t token = draw_finite(input);
  row[token] = kInf;  // as it was: its logprob is still to be read
  return token;
}

int32_t Sampler::draw_finite(const SampleInput& input) {
  const SamplingParams& params = *input.params;
  const std::span<float> row = input.logits;
  // Where exp(-distance / temperature) falls below min_p; |.| as the log of 1 must not be -0.
  const double max_distance =
      params.min_p > 0.0F
          ? std::abs(std::log(static_cast<double>(params.min_p)) * params.temperature)
          : std::numeric_limits<double>::infinity();
  const double u = uniform(input.seed, input.choice, input.position);
  if (params.top_k > 0 && params.top_k <= kSortedTopK) {
    return draw_from_top(input, max_distance, u);
  }
  // A temperature so small that its inverse overflows leaves the largest logits only, as this does.
  const Softmax softmax{.max = maxima_.max(),
                        .inverse_temperature = 1.0F / std::max(params.temperature, 1e-30F)};
  const auto near = static_cast<float>(max_distance);
  if (params.top_k <= 0 && params.top_p >= 1.0F) return draw_from_row(row, softmax, near, u);
  return nucleus_.draw(row, softmax,
                       {.top_k = params.top_k, .top_p = params.top_p, .max_distance = near}, u);
}

int32_t Sampler::draw_from_top(const SampleInput& input, double max_distance, double u) {
  const SamplingParams& params = *input.params;
  maxima_.top(input.logits, params.top_k, &candidates_);
  const auto max = static_cast<double>(maxima_.max());
  weights_.clear();
  double mass = 0.0;
  for (const Candidate& c : candidates_) {
    weights_.push_back(std::exp((static_cast<double>(c.value) - max) / params.temperature));
    mass += weights_.back();
  }
  // top_p is of what top_k leaves; min_p ends the same order, so the shorter prefix holds.
  const double wanted = params.top_p < 1.0F ? params.top_p * mass : mass;
  size_t n_kept = 0;
  double kept = 0.0;
  while (n_kept < candidates_.size() && (n_kept == 0 || kept < wanted) &&
         max - static_cast<double>(candidates_[n_kept].value) <= max_distance) {
    kept += weights_[n_kept++];
  }
  double target = u * kept;
  return candidates_[walk(n_kept, &target, [this](size_t i) { return weights_[i]; })].id;
}

}  // namespace lapidary
