// One row's draws against the oracle, at the CPU's Sampler; rows and draws side by side, at the
// verb.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "kernels/cpu/sampling/sampler.h"
#include "tests/catch.h"
#include "tests/kernels/sample_data.h"
#include "tests/tested_seed.h"

namespace lapidary {
namespace {

using cpu::Sampler;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Leaves in `logits` what the sampler made of the row.
Sampled run(Sampler& sampler, const SampleCase& c, std::vector<float>* logits) {
  *logits = c.row;
  SampleLists lists;
  lists.add(c, 0);
  Sampled out;
  sampler.sample(lists.args({}), lists.draws(), *logits, &out);
  return out;
}

Sampled run(SampleCase c, int64_t position) {
  Sampler sampler;
  std::vector<float> logits;
  c.draw.position = position;
  return run(sampler, c, &logits);
}

int32_t draw(const std::vector<float>& row, SampleDraw d, int64_t position, uint64_t seed = 7) {
  d.seed = seed;
  return run({.row = row, .draw = d}, position).token;
}

Sampled score(const std::vector<float>& row, int32_t token, int k) {
  return run({.row = row, .draw = {.n_logprobs = k, .scored = token}}, 0);
}

}  // namespace

TEST_CASE("draws follow the exact distribution for any mix of parameters", "[kernels]") {
  constexpr int kDraws = 3000;
  int n_checked = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SampleCase c = random_case(seed, std::vector<int>{2, 9, 40, 130}[seed % 4]);
    const auto expected = reference::distribution(reference::edited(c), c.draw);
    if (expected.margin < 1e-5) continue;
    ++n_checked;
    Sampler sampler;
    std::vector<float> logits;
    std::vector<int> drawn(c.row.size(), 0);
    for (int i = 0; i < kDraws; ++i) {
      c.draw.position = i;
      ++drawn[run(sampler, c, &logits).token];
    }
    INFO("seed " << seed << " vocab " << c.row.size() << " " << described(c.draw));
    CHECK(fits(drawn, expected.probability, kDraws));
    for (size_t id = 0; id < drawn.size(); ++id) {
      INFO("id " << id << " drawn " << drawn[id] << " probability " << expected.probability[id]);
      if (drawn[id] > 0) CHECK(expected.probability[id] > 0.0);
      if (expected.probability[id] * kDraws > 25.0) CHECK(drawn[id] > 0);
    }
  }
  CHECK(n_checked > 45);
}

TEST_CASE("penalties, bias and bans change the row exactly as the reference", "[kernels]") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SampleCase c = random_case(seed, std::vector<int>{2, 9, 40, 130}[seed % 4]);
    c.row[0] = 0.0F;
    c.row[1] = -kInf;
    std::vector<float> logits;
    Sampler sampler;
    run(sampler, c, &logits);
    CHECK(logits == reference::edited(c));
  }
}

TEST_CASE("repetition counts prompt and answer, the other penalties the answer", "[kernels]") {
  const SampleCase c{.row = {4.0F, -4.0F, 4.0F, 4.0F},
                     .draw = {.temperature = 0.0F,
                              .presence_penalty = 0.25F,
                              .frequency_penalty = 0.5F,
                              .repetition_penalty = 2.0F},
                     .counts = {{0, 0}, {1, 1}, {2, 2}}};
  std::vector<float> row;
  Sampler sampler;
  CHECK(run(sampler, c, &row).token == 3);
  CHECK(row == std::vector<float>{2.0F, -8.75F, 0.75F, 4.0F});
}

TEST_CASE("greedy takes the lowest id of the largest logits in rows of any size", "[kernels]") {
  for (int vocab : {1, 2, 7, 8, 9, 63, 64, 65, 1536, 32767, 32768, 32801, 262144}) {
    std::vector<float> row = normal_row(vocab, 3.0F, 11);
    for (int at : {vocab - 1, vocab / 2, vocab / 3}) {
      row[at] = 50.0F;
      INFO("vocab " << vocab);
      CHECK(draw(row, {.temperature = 0.0F}, 0) == at);
    }
  }
}

TEST_CASE("default sampling over a large vocabulary stays inside the reference's set",
          "[kernels]") {
  std::vector<float> row = normal_row(262144, 3.0F, 3);
  row[77] = row[200000] = 15.0F;
  row[262143] = 14.5F;
  for (const SampleDraw& params :
       {SampleDraw{.top_k = 64, .top_p = 0.95F}, SampleDraw{.top_k = 64},
        SampleDraw{.temperature = 1.5F, .top_p = 0.4F}, SampleDraw{.top_k = 3000, .top_p = 0.9F},
        SampleDraw{.min_p = 0.01F}}) {
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

TEST_CASE("a draw depends on seed and position alone", "[kernels]") {
  const std::vector<float> row = normal_row(3000, 1.0F, 5);
  for (const SampleDraw& params :
       {SampleDraw{}, SampleDraw{.top_k = 64, .top_p = 0.95F}, SampleDraw{.top_p = 0.9F}}) {
    std::vector<int32_t> alone;
    for (int64_t position = 0; position < 40; ++position) {
      alone.push_back(draw(row, params, position));
    }
    Sampler shared;
    for (int64_t position = 39; position >= 0; --position) {
      std::vector<float> other = normal_row(500 + static_cast<int>(position), 4.0F, 9);
      std::vector<float> logits;
      run(shared,
          {.row = other, .draw = {.top_p = 0.5F, .seed = 1, .position = position, .n_logprobs = 3}},
          &logits);
      SampleCase c{.row = row, .draw = params};
      c.draw.seed = 7;
      c.draw.position = position;
      const Sampled sampled = run(shared, c, &logits);
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

TEST_CASE("a bias of 100 forces a token and of -100 excludes it", "[kernels]") {
  const std::vector<float> row = normal_row(100, 3.0F, 2);
  const auto best = static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
  for (float temperature : {0.0F, 1.0F, 2.0F}) {
    for (int64_t position = 0; position < 200; ++position) {
      SampleCase c{.row = row, .draw = {.temperature = temperature, .seed = 7}};
      c.biases = {{42, 100.0F}};
      CHECK(run(c, position).token == 42);
      c.biases = {{best, -100.0F}};
      CHECK(run(c, position).token != best);
    }
  }
}

TEST_CASE("banned and masked tokens are never drawn, whatever the bias", "[kernels]") {
  for (float temperature : {0.0F, 1.0F}) {
    SampleCase c{.row = {0.0F, 0.0F, 0.0F, 1.0F, 0.0F},
                 .draw = {.temperature = temperature, .seed = 3},
                 .biases = {{0, 100.0F}, {1, 100.0F}, {4, 100.0F}, {900, 5.0F}, {-3, 5.0F}},
                 .banned = {0, 258883, 1, -1, 900},
                 .mask = {15}};
    std::set<int32_t> seen;
    for (int64_t position = 0; position < 100; ++position) seen.insert(run(c, position).token);
    CHECK(seen == (temperature > 0 ? std::set<int32_t>{2, 3} : std::set<int32_t>{3}));
  }
}

TEST_CASE("NaN counts as minus infinity", "[kernels]") {
  for (const SampleDraw& params :
       {SampleDraw{.temperature = 0.0F}, SampleDraw{}, SampleDraw{.top_k = 3},
        SampleDraw{.top_p = 0.9F}, SampleDraw{.min_p = 0.5F}}) {
    for (int64_t position = 0; position < 50; ++position) {
      CHECK(draw({kNan, 1.0F, -kInf, kNan}, params, position) == 1);
    }
  }
}

TEST_CASE("a row without any candidate gives the lowest allowed id", "[kernels]") {
  for (float nothing : {-kInf, kNan}) {
    for (float temperature : {0.0F, 1.0F}) {
      const std::vector<float> row(70, nothing);
      CHECK(draw(row, {.temperature = temperature, .top_p = 0.5F}, 4) == 0);
      SampleCase c{.row = row, .draw = {.temperature = temperature}, .banned = {1, 0}};
      CHECK(run(c, 4).token == 2);
      c.mask = {~4U, ~0U, ~0U};
      CHECK(run(c, 4).token == 3);
      c.mask = {0, 0, 0};
      CHECK(run(c, 4).token == 0);
    }
  }
  CHECK(run({.row = {1.0F, 2.0F}, .banned = {0, 1}}, 0).token == 0);
}

TEST_CASE("infinite logits share the draw and honour the limits", "[kernels]") {
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

TEST_CASE("limits at their ends", "[kernels]") {
  const std::vector<float> row = {1.0F, 3.0F, 3.0F, 2.0F};
  const auto reached = [&](const SampleDraw& params) {
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

TEST_CASE("a vocabulary of one token draws it", "[kernels]") {
  for (const SampleDraw& params :
       {SampleDraw{.temperature = 0.0F}, SampleDraw{}, SampleDraw{.top_k = 64},
        SampleDraw{.top_p = 0.1F}, SampleDraw{.top_k = 5000, .min_p = 1.0F}}) {
    CHECK(draw({-3.0F}, params, 12) == 0);
  }
}

TEST_CASE("logprobs are those of the raw logits, largest first", "[kernels]") {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SampleCase c = random_case(seed, std::vector<int>{2, 9, 40, 130}[seed % 4]);
    std::mt19937 random(tested_seed(seed));
    c.draw.n_logprobs = one_of(random, {0, 1, 5, 20});
    if (seed % 3 == 0) c.row[0] = kNan;
    const Sampled sampled = run(c, seed);
    const std::vector<double> expected = reference::logprobs(c.row);
    std::vector<int32_t> order = reference::ranking(c.row);
    if (order.size() > static_cast<size_t>(c.draw.n_logprobs)) order.resize(c.draw.n_logprobs);
    CHECK(std::abs(sampled.logprob - expected[sampled.token]) < 1e-4);
    REQUIRE(sampled.top.size() == order.size());
    for (size_t i = 0; i < order.size(); ++i) {
      CHECK(sampled.top[i].token == order[i]);
      CHECK(std::abs(sampled.top[i].logprob - expected[order[i]]) < 1e-4);
    }
    const Sampled scored = score(c.row, sampled.token, c.draw.n_logprobs);
    CHECK(scored.logprob == sampled.logprob);
    CHECK(scored.top.size() == sampled.top.size());
    c.draw.n_logprobs = -1;
    const Sampled plain = run(c, seed);
    CHECK(plain.token == sampled.token);
    CHECK(plain.top.empty());
  }
}

TEST_CASE("logprobs over a large vocabulary are right to 1e-4", "[kernels]") {
  std::vector<float> row = normal_row(262144, 3.0F, 21);
  row[5] = 29.0F;
  const std::vector<double> expected = reference::logprobs(row);
  for (int32_t token : {0, 5, 1000, 262143}) {
    const Sampled scored = score(row, token, 20);
    CHECK(std::abs(scored.logprob - expected[token]) < 1e-4);
    CHECK(scored.top.size() == 20);
    CHECK(scored.top[0].token == 5);
  }
}

TEST_CASE("logprobs of rows with infinities are numbers or minus infinity", "[kernels]") {
  const std::vector<float> row = {kInf, 2.0F, kInf, kNan};
  const Sampled likely = score(row, 2, 4);
  CHECK(likely.logprob == Approx(std::log(0.5)));
  REQUIRE(likely.top.size() == 2);
  CHECK(likely.top[0].token == 0);
  CHECK(score(row, 1, 0).logprob == -kInf);
  CHECK(score(row, 3, -1).logprob == -kInf);
  const std::vector<float> nothing(3, -kInf);
  CHECK(score(nothing, 1, 2).logprob == -kInf);
  CHECK(score(nothing, 1, 2).top.empty());

  CHECK(run({.row = row, .draw = {.n_logprobs = 1}}, 0).logprob == Approx(std::log(0.5)));
}

TEST_CASE("the logprob of the answer of a row without candidates is minus infinity or its own",
          "[kernels]") {
  SampleCase c{.row = {1.0F, 1.0F}, .draw = {.n_logprobs = 0}, .mask = {0}};
  CHECK(run(c, 0).logprob == Approx(std::log(0.5)));
  c = {.row = {-kInf, -kInf}, .draw = {.n_logprobs = 2}};
  CHECK(run(c, 0).logprob == -kInf);
}

TEST_CASE("draws of one row see the row as it came, and rows do not see each other", "[kernels]") {
  for (int n_threads : {1, 3}) {
    const auto backend = make_cpu_backend({.n_threads = n_threads});
    const int vocab = 40;
    std::vector<float> rows;
    std::vector<SampleCase> cases;
    SampleLists lists;
    for (uint32_t seed = 0; seed < 60; ++seed) {
      SampleCase c = random_case(seed, vocab);
      if (seed % 3 != 0) c.row = cases.back().row;
      if (seed % 3 == 0) rows.insert(rows.end(), c.row.begin(), c.row.end());
      c.draw.n_logprobs = static_cast<int>(seed % 4) - 1;
      c.draw.scored = seed % 5 == 0 ? static_cast<int32_t>(seed % vocab) : -1;
      lists.add(c, seed / 3);
      cases.push_back(c);
    }
    const std::vector<Sampled> all =
        backend->sample(lists.args(Tensor(rows.data(), DType::f32, {20, vocab})));
    REQUIRE(all.size() == cases.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const Sampled alone = run(cases[i], 0);
      CHECK(all[i].token == alone.token);
      CHECK(all[i].logprob == alone.logprob);
      CHECK(all[i].top.size() == alone.top.size());
    }
  }
}

}  // namespace lapidary
