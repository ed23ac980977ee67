// sample of the CUDA backend against the CPU's and the oracle. A draw's token is the CPU's unless
// the random number falls within rounding of a boundary between two tokens: rare, and then either
// is right, which the tests of the distribution see to.
#include <algorithm>
#include <set>

#include "kernels/backend.h"
#include "tests/cuda/schedules.h"
#include "tests/kernels/sample_data.h"

namespace lapidary {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Both backends' draws of the same cases; logprobs and the largest logits must agree. Returns how
// many tokens do not.
int n_different(const std::vector<Sampled>& cuda, const std::vector<Sampled>& cpu) {
  REQUIRE(cuda.size() == cpu.size());
  int n = 0;
  for (size_t i = 0; i < cuda.size(); ++i) {
    INFO("draw " << i << ": CUDA " << cuda[i].token << ", CPU " << cpu[i].token);
    if (cuda[i].token != cpu[i].token) {
      ++n;
      continue;
    }
    const bool is_same = cuda[i].logprob == cpu[i].logprob;
    CHECK((is_same || std::abs(cuda[i].logprob - cpu[i].logprob) < 1e-4));
    REQUIRE(cuda[i].top.size() == cpu[i].top.size());
    for (size_t k = 0; k < cpu[i].top.size(); ++k) {
      CHECK(cuda[i].top[k].token == cpu[i].top[k].token);
      CHECK(std::abs(cuda[i].top[k].logprob - cpu[i].top[k].logprob) < 1e-4);
    }
  }
  return n;
}

int32_t draw(Backend& backend, const std::vector<float>& row, SampleDraw d, int64_t position) {
  d.seed = 7;
  d.position = position;
  return sample_all(backend, {{.row = row, .draw = d}})[0].token;
}

// One row drawn from at many positions in one call, as a batch of equal rows.
std::set<int32_t> reached(Backend& backend, const std::vector<float>& row, SampleDraw d, int n) {
  std::vector<SampleCase> cases;
  for (int i = 0; i < n; ++i) {
    d.position = i;
    cases.push_back({.row = row, .draw = d});
  }
  std::set<int32_t> seen;
  for (const Sampled& s : sample_all(backend, cases)) seen.insert(s.token);
  return seen;
}

}  // namespace

TEST_CASE("CUDA draws any mix of parameters as the CPU does", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  const auto cpu = make_cpu_backend({.n_threads = 1});
  for (int vocab : {2, 171, 1003, 5000}) {
    std::vector<SampleCase> cases;
    for (uint32_t seed = 0; seed < (vocab < 5000 ? 24U : 12U); ++seed) {
      SampleCase c = random_case(seed, vocab);
      c.draw.position = seed;
      c.draw.n_logprobs = static_cast<int>(seed % 5) * 5 - 5;
      if (seed % 7 == 6) c.row[vocab / 3] = kNan;
      if (seed % 7 == 5) c.draw.temperature = 0.0F;
      if (seed % 7 == 4) c.draw.scored = vocab - 1;
      cases.push_back(c);
    }
    const std::vector<Sampled> expected = sample_all(*cpu, cases);
    INFO("vocab " << vocab);
    each_schedule([&] { CHECK(n_different(sample_all(*cuda, cases), expected) == 0); });
  }
}

TEST_CASE("CUDA draws of more than a piece, from every kind of prefix", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  const auto cpu = make_cpu_backend({.n_threads = 1});
  for (int vocab : {16384, 40001}) {
    std::vector<SampleCase> cases;
    for (const SampleDraw& d :
         {SampleDraw{.temperature = 0.0F}, SampleDraw{.top_k = 64, .top_p = 0.95F},
          SampleDraw{.top_k = 1}, SampleDraw{.top_k = 500, .top_p = 0.9F},
          SampleDraw{.top_k = 3000, .top_p = 0.95F, .min_p = 0.001F}, SampleDraw{.top_p = 0.95F},
          SampleDraw{.temperature = 2.0F, .top_p = 0.7F}, SampleDraw{.min_p = 0.01F}, SampleDraw{},
          SampleDraw{.top_k = 64, .n_logprobs = 20}}) {
      SampleCase c{.row = normal_row(vocab, 3.0F, 5), .draw = d};
      c.row[vocab - 1] = c.row[20] = 14.0F;
      c.draw.seed = 99;
      cases.push_back(c);
      std::fill(c.row.begin(), c.row.end(), 1.5F);  // every candidate ties with every other
      cases.push_back(c);
    }
    const std::vector<Sampled> expected = sample_all(*cpu, cases);
    INFO("vocab " << vocab);
    CHECK(n_different(sample_all(*cuda, cases), expected) == 0);
  }
}

TEST_CASE("CUDA draws follow the exact distribution", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  constexpr int kDraws = 200;
  const int vocab = 40;
  int n_checked = 0;
  for (uint32_t seed = 0; seed < 9; ++seed) {
    SampleCase c = random_case(seed, vocab);
    const auto expected = reference::distribution(reference::edited(c), c.draw);
    if (expected.margin < 1e-5) continue;
    ++n_checked;
    std::vector<SampleCase> cases;
    for (int i = 0; i < kDraws; ++i) {
      c.draw.position = i;
      cases.push_back(c);
    }
    std::vector<int> drawn(vocab, 0);
    for (const Sampled& s : sample_all(*cuda, cases)) ++drawn[s.token];
    INFO("seed " << seed << " " << described(c.draw));
    CHECK(fits(drawn, expected.probability, kDraws));
    for (int id = 0; id < vocab; ++id) {
      if (drawn[id] > 0) CHECK(expected.probability[id] > 0.0);
    }
  }
  CHECK(n_checked > 6);
}

TEST_CASE("CUDA draws of one row see the row as it came, and leave it so", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  const auto cpu = make_cpu_backend({.n_threads = 1});
  const int vocab = 171;
  std::vector<float> rows;
  std::vector<SampleCase> cases;
  SampleLists lists;
  for (uint32_t seed = 0; seed < 30; ++seed) {
    SampleCase c = random_case(seed, vocab);
    if (seed % 3 != 0) c.row = cases.back().row;
    if (seed % 3 == 0) rows.insert(rows.end(), c.row.begin(), c.row.end());
    c.draw.n_logprobs = static_cast<int>(seed % 4) - 1;
    c.draw.scored = seed % 5 == 0 ? static_cast<int32_t>(seed % vocab) : -1;
    lists.add(c, seed / 3);
    cases.push_back(c);
  }
  const std::vector<Sampled> expected = sample_all(*cpu, cases);
  each_schedule([&] {
    const Buffer there = cuda->allocate(rows.size() * sizeof(float));
    cuda->upload(there.data(), rows.data(), there.bytes());
    const std::vector<Sampled> all =
        cuda->sample(lists.args(Tensor(there.data(), DType::f32, {10, vocab})));
    CHECK(n_different(all, expected) == 0);
    std::vector<float> after(rows.size());
    cuda->download(after.data(), there.data(), there.bytes());
    CHECK(after == rows);
  });
}

TEST_CASE("CUDA penalties come before biases, whichever thread has them", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  SampleCase c{.row = std::vector<float>(70, 0.0F),
               .draw = {.temperature = 0.0F, .repetition_penalty = 2.0F}};
  // 4 / 2 + 3 wins over 4.5; (4 + 3) / 2 would not.
  c.row[69] = 4.5F;
  for (int32_t id : {0, 40, 63}) {
    c.row[id] = 4.0F;
    c.counts.clear();
    c.biases.clear();
    for (int32_t i = 0; i < 64; ++i) {
      c.counts.push_back({i, 1});
      c.biases.push_back({63 - i, i == 63 - id ? 3.0F : 0.0F});
    }
    each_schedule([&] { CHECK(sample_all(*cuda, {c})[0].token == id); });
    c.banned = {id};
    each_schedule([&] { CHECK(sample_all(*cuda, {c})[0].token == 69); });
    c.banned.clear();
    c.row[id] = 0.0F;
  }
}

TEST_CASE("CUDA draws of rows without candidates, and with infinite ones", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  for (float nothing : {-kInf, kNan}) {
    for (const SampleDraw& d :
         {SampleDraw{.temperature = 0.0F}, SampleDraw{.top_p = 0.5F}, SampleDraw{.top_k = 4}}) {
      SampleCase c{.row = std::vector<float>(700, nothing), .draw = d};
      CHECK(sample_all(*cuda, {c})[0].token == 0);
      c.banned = {1, 0};
      CHECK(sample_all(*cuda, {c})[0].token == 2);
      c.mask.assign(22, ~0U);
      c.mask[0] = ~4U;
      CHECK(sample_all(*cuda, {c})[0].token == 3);
      c.mask.assign(22, 0);
      CHECK(sample_all(*cuda, {c})[0].token == 0);
      c.mask[20] = 8;
      CHECK(sample_all(*cuda, {c})[0].token == 643);
    }
  }
  const std::vector<float> row = {3.0F, kInf, kNan, kInf, -kInf};
  const std::set<int32_t> infinite = {1, 3};
  CHECK(reached(*cuda, row, {}, 20) == infinite);
  CHECK(reached(*cuda, row, {.top_k = 64}, 20) == infinite);
  CHECK(reached(*cuda, row, {.top_k = 100}, 20) == infinite);
  CHECK(reached(*cuda, row, {.top_p = 0.9F}, 20) == infinite);
  CHECK(draw(*cuda, row, {.temperature = 0.0F}, 0) == 1);
  CHECK(reached(*cuda, row, {.top_k = 1}, 20) == std::set<int32_t>{1});
  CHECK(reached(*cuda, row, {.top_p = 0.4F}, 20) == std::set<int32_t>{1});
  const SampleCase scored{.row = row, .draw = {.n_logprobs = 4, .scored = 3}};
  const Sampled of_infinite = sample_all(*cuda, {scored})[0];
  CHECK(of_infinite.logprob == Approx(std::log(0.5)));
  CHECK(of_infinite.top.size() == 2);
}

TEST_CASE("CUDA draws at the ends of the limits", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  const std::vector<float> row = {1.0F, 3.0F, 3.0F, 2.0F, -0.0F, 0.0F};
  const std::set<int32_t> all = {0, 1, 2, 3, 4, 5};
  const std::set<int32_t> both = {1, 2};
  const std::set<int32_t> one = {1};
  CHECK(reached(*cuda, row, {.temperature = 2.0F}, 80) == all);
  CHECK(reached(*cuda, row, {.temperature = 2.0F, .top_k = 1000000}, 80) == all);
  CHECK(reached(*cuda, row, {.temperature = 2.0F, .top_k = 90}, 80) == all);
  CHECK(reached(*cuda, row, {.temperature = 2.0F, .top_k = 5}, 80) ==
        std::set<int32_t>{0, 1, 2, 3, 4});
  CHECK(reached(*cuda, row, {.min_p = 1.0F}, 20) == both);
  CHECK(reached(*cuda, row, {.top_k = 4, .min_p = 1.0F}, 20) == both);
  CHECK(reached(*cuda, row, {.top_p = 0.9999F, .min_p = 1.0F}, 20) == both);
  CHECK(reached(*cuda, row, {.top_p = 1e-9F}, 20) == one);
  CHECK(reached(*cuda, row, {.top_k = 3, .top_p = 1e-9F}, 20) == one);
  for (float tiny : {1e-6F, 1e-40F}) {
    CHECK(reached(*cuda, row, {.temperature = tiny}, 20) == both);
    CHECK(reached(*cuda, row, {.temperature = tiny, .top_k = 4}, 20) == both);
    CHECK(reached(*cuda, row, {.temperature = tiny, .top_p = 0.9F}, 20) == both);
    CHECK(reached(*cuda, row, {.temperature = tiny, .top_k = 2000, .min_p = 0.1F}, 20) == both);
  }
  for (const SampleDraw& d : {SampleDraw{.temperature = 0.0F}, SampleDraw{},
                              SampleDraw{.top_k = 64}, SampleDraw{.top_p = 0.1F}}) {
    CHECK(draw(*cuda, {-3.0F}, d, 12) == 0);
  }
}

TEST_CASE("CUDA greedy takes the lowest id of the largest logits in rows of any size", "[cuda]") {
  const auto cuda = make_cuda_backend({});
  for (int vocab : {1, 7, 255, 256, 257, 1536, 16383, 16384, 16385, 32801}) {
    std::vector<float> row = normal_row(vocab, 3.0F, 11);
    for (int at : {vocab - 1, vocab / 2, vocab / 3}) {
      row[at] = 50.0F;
      INFO("vocab " << vocab);
      CHECK(draw(*cuda, row, {.temperature = 0.0F}, 0) == at);
    }
  }
}

}  // namespace lapidary
