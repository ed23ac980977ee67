#include "engine/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/reference/sampling.h"

namespace lapidary {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> normal_row(int vocab, float deviation, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> noise(0.0F, deviation);
  std::vector<float> row(vocab);
  for (float& x : row) x = noise(random);
  return row;
}

int32_t draw(std::vector<float> row, const SamplingParams& params, int64_t position,
             uint64_t seed = 7) {
  Sampler sampler;
  return sampler.sample({.logits = row, .params = &params, .seed = seed, .position = position})
      .token;
}

// A row, what is done to it, and what the reference says of it.
struct Scenario {
  std::vector<float> row;
  SamplingParams params;
  TokenCounts counts;
  std::vector<int32_t> forbidden;
  bool has_counts = false;

  Sampled sample(Sampler& sampler, int64_t position, std::vector<float>* logits) const {
    *logits = row;
    return sampler.sample({.logits = *logits,
                           .params = &params,
                           .counts = has_counts ? &counts : nullptr,
                           .forbidden = forbidden,
                           .seed = params.seed,
                           .position = position});
  }
  std::vector<float> edited() const {
    return reference::edited(row, params, has_counts ? &counts : nullptr, forbidden);
  }
};

template <typename T>
T one_of(std::mt19937& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

Scenario random_scenario(uint32_t seed) {
  std::mt19937 random(seed);
  const int vocab = one_of(random, {2, 9, 40, 130});
  Scenario s{.row = normal_row(vocab, 2.0F, seed)};
  if (random() % 2 == 0) {
    for (float& x : s.row) x = std::round(x * 2.0F) / 2.0F;  // many ties
  }
  s.params = {.temperature = one_of(random, {0.5F, 1.0F, 2.0F}),
              .top_k = one_of(random, {0, 0, 1, 5, 64, 1000, 2000}),
              .top_p = one_of(random, {1.0F, 1.0F, 0.95F, 0.6F, 0.2F}),
              .min_p = one_of(random, {0.0F, 0.0F, 0.05F, 0.3F}),
              .seed = seed * 1000003ULL};
  if (random() % 2 == 0) {
    s.has_counts = true;
    s.params.presence_penalty = one_of(random, {0.0F, 0.5F, -1.0F});
    s.params.frequency_penalty = one_of(random, {0.0F, 0.3F});
    s.params.repetition_penalty = one_of(random, {1.0F, 1.3F, 0.8F});
    const std::vector<int32_t> prompt = {0, vocab / 2, vocab - 1};
    s.counts.add_prompt(prompt);
    for (int i = 0; i < 6; ++i) s.counts.add_output(static_cast<int32_t>(random() % vocab));
  }
  if (random() % 2 == 0) s.params.logit_bias = {{1, 1.5F}, {0, -2.0F}, {1, 0.5F}};
  if (vocab > 2 && random() % 2 == 0) s.params.suppress_tokens = {2, 5};
  if (vocab > 2 && random() % 2 == 0) s.forbidden = {3};
  return s;
}

std::string described(const SamplingParams& p) {
  return "temperature " + std::to_string(p.temperature) + " top_k " + std::to_string(p.top_k) +
         " top_p " + std::to_string(p.top_p) + " min_p " + std::to_string(p.min_p);
}

// Pearson's statistic over cells of at least 5 expected draws; the rest is one cell.
bool fits(const std::vector<int>& drawn, const std::vector<double>& probability, int n_draws) {
  double statistic = 0.0;
  double rest_expected = 0.0;
  double rest_drawn = 0.0;
  int cells = 0;
  for (size_t i = 0; i < drawn.size(); ++i) {
    const double expected = probability[i] * n_draws;
    if (expected < 5.0) {
      rest_expected += expected;
      rest_drawn += drawn[i];
      continue;
    }
    statistic += (drawn[i] - expected) * (drawn[i] - expected) / expected;
    ++cells;
  }
  if (rest_expected > 1.0) {
    statistic += (rest_drawn - rest_expected) * (rest_drawn - rest_expected) / rest_expected;
    ++cells;
  } else if (rest_drawn > 12.0) {
    return false;
  }
  const double freedom = std::max(cells - 1, 1);
  return statistic < freedom + 5.0 * std::sqrt(2.0 * freedom) + 5.0;
}

}  // namespace

TEST_CASE("draws follow the exact distribution for any mix of parameters", "[engine]") {
  constexpr int kDraws = 3000;
  int n_checked = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Scenario s = random_scenario(seed);
    const auto expected = reference::distribution(s.edited(), s.params);
    if (expected.margin < 1e-5) continue;
    ++n_checked;
    Sampler sampler;
    std::vector<float> logits;
    std::vector<int> drawn(s.row.size(), 0);
    for (int i = 0; i < kDraws; ++i) ++drawn[s.sample(sampler, i, &logits).token];
    INFO("seed " << seed << " vocab " << s.row.size() << " " << described(s.params));
    CHECK(fits(drawn, expected.probability, kDraws));
    for (size_t id = 0; id < drawn.size(); ++id) {
      INFO("id " << id << " drawn " << drawn[id] << " probability " << expected.probability[id]);
      if (drawn[id] > 0) CHECK(expected.probability[id] > 0.0);
      if (expected.probability[id] * kDraws > 25.0) CHECK(drawn[id] > 0);
    }
  }
  CHECK(n_checked > 45);
}

TEST_CASE("penalties, bias and bans change the row exactly as the reference", "[engine]") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Scenario s = random_scenario(seed);
    s.row[0] = 0.0F;
    s.row[1] = -kInf;
    std::vector<float> logits;
    Sampler sampler;
    s.sample(sampler, 0, &logits);
    CHECK(logits == s.edited());
  }
}

TEST_CASE("repetition counts prompt and answer, the other penalties the answer", "[engine]") {
  TokenCounts counts;
  counts.add_prompt(std::vector<int32_t>{0, 1, 1});
  for (int32_t token : {1, 2, 2}) counts.add_output(token);
  const SamplingParams params{.temperature = 0.0F,
                              .presence_penalty = 0.25F,
                              .frequency_penalty = 0.5F,
                              .repetition_penalty = 2.0F};
  std::vector<float> row = {4.0F, -4.0F, 4.0F, 4.0F};
  Sampler sampler;
  const Sampled sampled = sampler.sample({.logits = row, .params = &params, .counts = &counts});
  CHECK(row == std::vector<float>{2.0F, -8.75F, 0.75F, 4.0F});
  CHECK(sampled.token == 3);
}

TEST_CASE("greedy takes the lowest id of the largest logits in rows of any size", "[engine]") {
  for (int vocab : {1, 2, 7, 8, 9, 63, 64, 65, 1536, 32767, 32768, 32801, 262144}) {
    std::vector<float> row = normal_row(vocab, 3.0F, 11);
    for (int at : {vocab - 1, vocab / 2, vocab / 3}) {
      row[at] = 50.0F;
      INFO("vocab " << vocab);
      CHECK(draw(row, {.temperature = 0.0F}, 0) == at);
    }
  }
}

TEST_CASE("default sampling over a large vocabulary stays inside the reference's set", "[engine]") {
  std::vector<float> row = normal_row(262144, 3.0F, 3);
  row[77] = row[200000] = 15.0F;
  row[262143] = 14.5F;
  for (const SamplingParams& params :
       {SamplingParams{.top_k = 64, .top_p = 0.95F}, SamplingParams{.top_k = 64},
        SamplingParams{.temperature = 1.5F, .top_p = 0.4F},
        SamplingParams{.top_k = 3000, .top_p = 0.9F}, SamplingParams{.min_p = 0.01F}}) {
    const auto expected = reference::distribution(row, params);
    std::set<int32_t> seen;
    for (int64_t position = 0; position < 60; ++position) {
      const int32_t token = draw(row, params, position);
      seen.insert(token);
      INFO(described(params) << " token " << token);
      CHECK(expected.probability[token] > 0.0);
    }
    CHECK(seen.size() > 2);
  }
}

TEST_CASE("a draw depends on seed and position alone", "[engine]") {
  const std::vector<float> row = normal_row(3000, 1.0F, 5);
  for (const SamplingParams& params :
       {SamplingParams{}, SamplingParams{.top_k = 64, .top_p = 0.95F},
        SamplingParams{.top_p = 0.9F}}) {
    std::vector<int32_t> alone;
    for (int64_t position = 0; position < 40; ++position) {
      alone.push_back(draw(row, params, position));
    }
    Sampler shared;
    for (int64_t position = 39; position >= 0; --position) {
      std::vector<float> other = normal_row(500 + static_cast<int>(position), 4.0F, 9);
      const SamplingParams top_p{.top_p = 0.5F, .n_logprobs = 3};
      shared.sample({.logits = other, .params = &top_p, .seed = 1, .position = position});
      std::vector<float> copy = row;
      const Sampled sampled =
          shared.sample({.logits = copy, .params = &params, .seed = 7, .position = position});
      CHECK(sampled.token == alone[position]);
    }
    CHECK(std::set<int32_t>(alone.begin(), alone.end()).size() > 10);
    int same = 0;
    for (int64_t position = 0; position < 40; ++position) {
      same += draw(row, params, position, 8) == alone[position] ? 1 : 0;
    }
    CHECK(same < 10);
  }
}

TEST_CASE("a bias of 100 forces a token and of -100 excludes it", "[engine]") {
  const std::vector<float> row = normal_row(100, 3.0F, 2);
  const auto best = static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
  for (float temperature : {0.0F, 1.0F, 2.0F}) {
    for (int64_t position = 0; position < 200; ++position) {
      CHECK(draw(row, {.temperature = temperature, .logit_bias = {{42, 100.0F}}}, position) == 42);
      CHECK(draw(row, {.temperature = temperature, .logit_bias = {{best, -100.0F}}}, position) !=
            best);
    }
  }
}

TEST_CASE("suppressed and forbidden tokens are never drawn, whatever the bias", "[engine]") {
  const std::vector<int32_t> forbidden = {1, -1, 900};
  for (float temperature : {0.0F, 1.0F}) {
    const SamplingParams params{.temperature = temperature,
                                .logit_bias = {{0, 100.0F}, {1, 100.0F}, {900, 5.0F}, {-3, 5.0F}},
                                .suppress_tokens = {0, 258883}};
    Sampler sampler;
    for (int64_t position = 0; position < 100; ++position) {
      std::vector<float> row = {0.0F, 0.0F, 0.0F, 1.0F};
      const Sampled sampled = sampler.sample({.logits = row,
                                              .params = &params,
                                              .forbidden = forbidden,
                                              .seed = 3,
                                              .position = position});
      CHECK(sampled.token >= 2);
    }
  }
}

TEST_CASE("NaN counts as minus infinity", "[engine]") {
  for (const SamplingParams& params :
       {SamplingParams{.temperature = 0.0F}, SamplingParams{}, SamplingParams{.top_k = 3},
        SamplingParams{.top_p = 0.9F}, SamplingParams{.min_p = 0.5F}}) {
    for (int64_t position = 0; position < 50; ++position) {
      CHECK(draw({kNan, 1.0F, -kInf, kNan}, params, position) == 1);
    }
  }
}

TEST_CASE("a row without any candidate gives the lowest allowed id", "[engine]") {
  for (float nothing : {-kInf, kNan}) {
    for (float temperature : {0.0F, 1.0F}) {
      const std::vector<float> row(70, nothing);
      CHECK(draw(row, {.temperature = temperature, .top_p = 0.5F}, 4) == 0);
      CHECK(draw(row, {.temperature = temperature, .suppress_tokens = {1, 0}}, 4) == 2);
    }
  }
  CHECK(draw({1.0F, 2.0F}, {.suppress_tokens = {0, 1}}, 0) == 0);
}

TEST_CASE("infinite logits share the draw and honour the limits", "[engine]") {
  const std::vector<float> row = {3.0F, kInf, kNan, kInf, -kInf};
  std::set<int32_t> seen;
  for (int64_t position = 0; position < 100; ++position) seen.insert(draw(row, {}, position));
  CHECK(seen == std::set<int32_t>{1, 3});
  CHECK(draw(row, {.temperature = 0.0F}, 0) == 1);
  for (int64_t position = 0; position < 50; ++position) {
    CHECK(draw(row, {.top_k = 1}, position) == 1);
    CHECK(draw(row, {.top_p = 0.4F}, position) == 1);
  }
}

TEST_CASE("limits at their ends", "[engine]") {
  const std::vector<float> row = {1.0F, 3.0F, 3.0F, 2.0F};
  const auto reached = [&](const SamplingParams& params) {
    std::set<int32_t> seen;
    for (int64_t position = 0; position < 600; ++position) seen.insert(draw(row, params, position));
    return seen;
  };
  const std::set<int32_t> all = {0, 1, 2, 3};
  CHECK(reached({.top_p = 1.0F}) == all);
  CHECK(reached({.top_k = 1000000}) == all);
  CHECK(reached({.top_k = 9, .top_p = 1.0F}) == all);
  CHECK(reached({.min_p = 1.0F}) == std::set<int32_t>{1, 2});
  CHECK(reached({.top_k = 4, .min_p = 1.0F}) == std::set<int32_t>{1, 2});
  CHECK(reached({.top_p = 0.9999F, .min_p = 1.0F}) == std::set<int32_t>{1, 2});
  CHECK(reached({.top_k = 1}) == std::set<int32_t>{1});
  CHECK(reached({.top_p = 1e-9F}) == std::set<int32_t>{1});
  CHECK(reached({.top_k = 3, .top_p = 1e-9F}) == std::set<int32_t>{1});
  CHECK(reached({.temperature = 2.0F}) == all);
  for (float tiny : {1e-6F, 1e-40F}) {
    CHECK(reached({.temperature = tiny}) == std::set<int32_t>{1, 2});
    CHECK(reached({.temperature = tiny, .top_k = 4}) == std::set<int32_t>{1, 2});
    CHECK(reached({.temperature = tiny, .top_p = 0.9F}) == std::set<int32_t>{1, 2});
    CHECK(reached({.temperature = tiny, .top_k = 2000, .min_p = 0.1F}) == std::set<int32_t>{1, 2});
  }
}

TEST_CASE("a vocabulary of one token draws it", "[engine]") {
  for (const SamplingParams& params :
       {SamplingParams{.temperature = 0.0F}, SamplingParams{}, SamplingParams{.top_k = 64},
        SamplingParams{.top_p = 0.1F}, SamplingParams{.top_k = 5000, .min_p = 1.0F}}) {
    CHECK(draw({-3.0F}, params, 12) == 0);
  }
}

TEST_CASE("logprobs are those of the raw logits, largest first", "[engine]") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Scenario s = random_scenario(seed);
    std::mt19937 random(seed);
    s.params.n_logprobs = one_of(random, {0, 1, 5, 20});
    if (seed % 3 == 0) s.row[0] = kNan;
    std::vector<float> logits;
    Sampler sampler;
    const Sampled sampled = s.sample(sampler, seed, &logits);
    const std::vector<double> expected = reference::logprobs(s.row);
    std::vector<int32_t> order = reference::ranking(s.row);
    if (order.size() > static_cast<size_t>(s.params.n_logprobs)) {
      order.resize(s.params.n_logprobs);
    }
    REQUIRE(sampled.logprob.has_value());
    CHECK(std::abs(*sampled.logprob - expected[sampled.token]) < 1e-4);
    REQUIRE(sampled.top.size() == order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      CHECK(sampled.top[i].token == order[i]);
      CHECK(std::abs(sampled.top[i].logprob - expected[order[i]]) < 1e-4);
    }
    const Sampled scored = Sampler::score(s.row, sampled.token, s.params.n_logprobs);
    CHECK(scored.logprob == sampled.logprob);
    CHECK(scored.top.size() == sampled.top.size());
    s.params.n_logprobs = -1;
    const Sampled plain = s.sample(sampler, seed, &logits);
    CHECK(plain.token == sampled.token);
    CHECK_FALSE(plain.logprob.has_value());
    CHECK(plain.top.empty());
  }
}

TEST_CASE("logprobs over a large vocabulary are right to 1e-4", "[engine]") {
  std::vector<float> row = normal_row(262144, 3.0F, 21);
  row[5] = 29.0F;
  const std::vector<double> expected = reference::logprobs(row);
  for (int32_t token : {0, 5, 1000, 262143}) {
    const Sampled scored = Sampler::score(row, token, 20);
    CHECK(std::abs(*scored.logprob - expected[token]) < 1e-4);
    CHECK(scored.top.size() == 20);
    CHECK(scored.top[0].token == 5);
  }
}

TEST_CASE("logprobs of rows with infinities are numbers or minus infinity", "[engine]") {
  const std::vector<float> row = {kInf, 2.0F, kInf, kNan};
  const Sampled likely = Sampler::score(row, 2, 4);
  CHECK(*likely.logprob == Approx(std::log(0.5)));
  REQUIRE(likely.top.size() == 2);
  CHECK(likely.top[0].token == 0);
  CHECK(*Sampler::score(row, 1, 0).logprob == -kInf);
  CHECK(*Sampler::score(row, 3, -1).logprob == -kInf);
  const std::vector<float> nothing(3, -kInf);
  CHECK(*Sampler::score(nothing, 1, 2).logprob == -kInf);
  CHECK(Sampler::score(nothing, 1, 2).top.empty());

  std::vector<float> drawn_from = row;
  const SamplingParams params{.n_logprobs = 1};
  Sampler sampler;
  const Sampled sampled = sampler.sample({.logits = drawn_from, .params = &params});
  CHECK(*sampled.logprob == Approx(std::log(0.5)));
}

}  // namespace lapidary
