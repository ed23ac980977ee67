#include "kernels/cpu/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "kernels/cpu/sampling/random.h"
#include "kernels/cpu/sampling/softmax.h"

namespace lapidary::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
// Up to here the survivors of top_k are sorted; beyond, the nucleus's buckets are cheaper.
constexpr int kSortedTopK = 1024;

bool is_in_row(std::span<const float> row, int32_t id) {
  return id >= 0 && static_cast<size_t>(id) < row.size();
}

// As vLLM: repetition over prompt and answer, the other two over the answer.
float penalized(float logit, const TokenCount& count, const SampleDraw& draw) {
  const float r = draw.repetition_penalty;
  float value = logit > 0.0F ? logit / r : logit * r;
  value -= draw.frequency_penalty * static_cast<float>(count.output);
  if (count.output > 0) value -= draw.presence_penalty;
  return value;
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

Sampler::Lists Sampler::lists_of(const SampleArgs& args, const SampleDraw& draw, size_t vocab) {
  Lists lists{.counts = draw.counts.of(args.counts),
              .biases = draw.bias.of(args.biases),
              .banned = draw.banned.of(args.banned),
              .mask = {}};
  if (draw.mask >= 0) {
    const size_t n_words = (vocab + 31) / 32;
    lists.mask = args.masks.subspan(static_cast<size_t>(draw.mask) * n_words, n_words);
  }
  return lists;
}

int32_t Sampler::lowest_allowed(const Lists& lists, size_t vocab) {
  for (int32_t id = 0; id < static_cast<int32_t>(vocab); ++id) {
    const auto banned = std::find(lists.banned.begin(), lists.banned.end(), id);
    if (banned == lists.banned.end() && lists.allows(id)) return id;
  }
  return 0;
}

void Sampler::sample(const SampleArgs& args, std::span<const SampleDraw> draws,
                     std::span<float> row, Sampled* out) {
  for (size_t i = 0; i < draws.size(); ++i) {
    if (draws[i].scored >= 0) {
      out[i] = score(draws[i], row);
      continue;
    }
    std::span<float> logits = row;
    if (i + 1 < draws.size()) {
      copy_.assign(row.begin(), row.end());
      logits = copy_;
    }
    out[i] = draw_token(draws[i], lists_of(args, draws[i], row.size()), logits);
  }
}

Sampled Sampler::score(const SampleDraw& draw, std::span<const float> row) {
  CHECK(is_in_row(row, draw.scored));
  const RowLogprobs logprobs(row, &maxima_);
  return {.token = draw.scored,
          .logprob = logprobs.of(row[draw.scored]),
          .top = logprobs.top(draw.n_logprobs)};
}

Sampled Sampler::draw_token(const SampleDraw& draw, const Lists& lists, std::span<float> row) {
  if (draw.n_logprobs < 0) {
    edit(draw, lists, row);
    return {.token = choose(draw, lists, row)};
  }
  const RowLogprobs raw(row, &maxima_);
  Sampled sampled{.top = raw.top(draw.n_logprobs)};
  edit(draw, lists, row);
  sampled.token = choose(draw, lists, row);
  // The first record of a token is its raw logit; without one the row still holds it.
  const auto changed = std::find_if(
      raw_.begin(), raw_.end(), [&](const auto& record) { return record.first == sampled.token; });
  sampled.logprob = raw.of(changed != raw_.end() ? changed->second : row[sampled.token]);
  return sampled;
}

void Sampler::change(std::span<float> row, int32_t id, float value) {
  if (keeps_raw_) raw_.emplace_back(id, row[id]);
  row[id] = value;
}

void Sampler::edit(const SampleDraw& draw, const Lists& lists, std::span<float> row) {
  raw_.clear();
  keeps_raw_ = draw.n_logprobs >= 0;
  for (const TokenCount& count : lists.counts) {
    const int32_t id = count.token;
    if (is_in_row(row, id)) change(row, id, penalized(row[id], count, draw));
  }
  for (const auto& [id, bias] : lists.biases) {
    if (is_in_row(row, id)) change(row, id, row[id] + bias);
  }
  for (int32_t id : lists.banned) {
    if (is_in_row(row, id)) change(row, id, -kInf);
  }
  if (lists.mask.empty()) return;
  // Of what is masked out only id 0 can be the answer, when there is no other: that one is
  // recorded.
  if (!lists.allows(0)) change(row, 0, -kInf);
  for (size_t word = 0; word < lists.mask.size(); ++word) {
    if (lists.mask[word] == ~0U) continue;
    const size_t end = std::min(row.size(), 32 * word + 32);
    for (size_t id = 32 * word; id < end; ++id) {
      if (!lists.allows(static_cast<int32_t>(id))) row[id] = -kInf;
    }
  }
}

int32_t Sampler::choose(const SampleDraw& draw, const Lists& lists, std::span<float> row) {
  maxima_.compute(row);
  if (maxima_.max() == -kInf) return lowest_allowed(lists, row.size());
  if (draw.temperature <= 0.0F) return maxima_.argmax(row);
  if (maxima_.max() < kInf) return choose_finite(draw, row);
  settle_infinity(row);
  maxima_.compute(row);
  const int32_t token = choose_finite(draw, row);
  row[token] = kInf;  // as it was: its logprob is still to be read
  return token;
}

int32_t Sampler::choose_finite(const SampleDraw& draw, std::span<const float> row) {
  // Where exp(-distance / temperature) falls below min_p; |.| as the log of 1 must not be -0.
  const double max_distance =
      draw.min_p > 0.0F ? std::abs(std::log(static_cast<double>(draw.min_p)) * draw.temperature)
                        : std::numeric_limits<double>::infinity();
  const double u = uniform(draw.seed, draw.choice, draw.position);
  if (draw.top_k > 0 && draw.top_k <= kSortedTopK) {
    return choose_from_top(draw, row, max_distance, u);
  }
  // A temperature so small that its inverse overflows leaves the largest logits only, as this does.
  const Softmax softmax{.max = maxima_.max(),
                        .inverse_temperature = 1.0F / std::max(draw.temperature, 1e-30F)};
  const auto near = static_cast<float>(max_distance);
  if (draw.top_k <= 0 && draw.top_p >= 1.0F) return draw_from_row(row, softmax, near, u);
  return nucleus_.draw(row, softmax,
                       {.top_k = draw.top_k, .top_p = draw.top_p, .max_distance = near}, u);
}

int32_t Sampler::choose_from_top(const SampleDraw& draw, std::span<const float> row,
                                 double max_distance, double u) {
  maxima_.top(row, draw.top_k, &candidates_);
  const auto max = static_cast<double>(maxima_.max());
  weights_.clear();
  double mass = 0.0;
  for (const Candidate& c : candidates_) {
    weights_.push_back(std::exp((static_cast<double>(c.value) - max) / draw.temperature));
    mass += weights_.back();
  }
  // top_p is of what top_k leaves; min_p ends the same order, so the shorter prefix holds.
  const double wanted = draw.top_p < 1.0F ? draw.top_p * mass : mass;
  size_t n_kept = 0;
  double kept = 0.0;
  while (n_kept < candidates_.size() && (n_kept == 0 || kept < wanted) &&
         max - static_cast<double>(candidates_[n_kept].value) <= max_distance) {
    kept += weights_[n_kept++];
  }
  double target = u * kept;
  return candidates_[walk(n_kept, &target, [this](size_t i) { return weights_[i]; })].id;
}

}  // namespace lapidary::cpu
