// The whole engine on the CUDA backend: scheduler, paged cache, replayed decode steps, sampling on
// the device; greedy answers beside the official ones.
#include "engine/engine.h"

#include <cstdio>

#include "tests/engine/bf16_parity.h"
#include "tests/engine/greedy_cases.h"

namespace lapidary {
namespace {

GoldenModel open_on_cuda(const char* name) {
  return GoldenModel::open(name, make_cuda_backend({.compute = DType::bf16}));
}

// By how much the best token led in float32 when each token of the official answer was drawn.
std::vector<float> official_leads(const char* name, const GreedyCase& c) {
  const GoldenModel model = GoldenModel::open(name);
  const int vocab = model.config.vocab;
  std::vector<int32_t> tokens = c.request.tokens;
  tokens.insert(tokens.end(), c.official.begin(), c.official.end());
  PagedRun run(model);
  const int s = run.add(tokens);
  run.finish(s, 64);
  std::vector<float> leads;
  for (size_t i = 0; i < c.official.size(); ++i) {
    const size_t position = c.request.tokens.size() + i - 1;
    std::vector<float> row(run.logits(s).begin() + static_cast<int64_t>(position) * vocab,
                           run.logits(s).begin() + static_cast<int64_t>(position + 1) * vocab);
    std::nth_element(row.begin(), row.begin() + 1, row.end(), std::greater<>());
    leads.push_back(row[0] - row[1]);
  }
  return leads;
}

std::vector<std::vector<int32_t>> answers_of(const char* name, const std::vector<GreedyCase>& cases,
                                             const EngineOptions& options) {
  GoldenModel model = open_on_cuda(name);
  Engine engine(*model.backend, std::move(model.decoder), options);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (const GreedyCase& c : cases) {
    const Submission submission = engine.submit(c.request);
    REQUIRE(std::holds_alternative<std::shared_ptr<TokenStream>>(submission));
    streams.push_back(std::get<std::shared_ptr<TokenStream>>(submission));
  }
  std::vector<std::vector<int32_t>> answers;
  for (const auto& stream : streams) answers.push_back(answer_of(*stream));
  return answers;
}

}  // namespace

// An answer that leaves the official one does so at a token whose lead bf16 cannot tell.
TEST_CASE("CUDA's greedy text is the official one as far as bf16 can decide", "[cuda][engine]") {
  std::printf("greedy, official tokens before the first other one\n");
  for (const char* name : kGoldenCheckpoints) {
    const GoldenOutputs golden(name);
    const std::vector<float> noise = golden.floats("bf16.noise");
    const float largest_noise = *std::max_element(noise.begin(), noise.end());
    const std::vector<GreedyCase> cases = greedy_cases(golden, 1);
    const auto answers = answers_of(name, cases, roomy_options(DType::bf16));
    std::printf("%-16s", name);
    for (size_t i = 0; i < cases.size(); ++i) {
      const std::vector<int32_t>& official = cases[i].official;
      REQUIRE(answers[i].size() == official.size());
      const auto n_same = static_cast<size_t>(
          std::mismatch(official.begin(), official.end(), answers[i].begin()).first -
          official.begin());
      std::printf(" %3zu of %zu", n_same, official.size());
      if (n_same == official.size()) continue;
      INFO(name << ", prompt of " << cases[i].request.tokens.size() << ", token " << n_same);
      CHECK(official_leads(name, cases[i])[n_same] < 2 * largest_noise);
    }
    std::printf("\n");
  }
}

// Up to eight rows run the same kernels in the same order. Above that other ones take over, and a
// prompt's rows may differ in their last bits with the company it was computed in.
TEST_CASE("CUDA's decode steps do not depend on who decodes beside them", "[cuda][engine]") {
  constexpr int kDecoded = 4;
  for (const char* name : {"moe", "e2b", "dense31b"}) {
    const GoldenModel model = open_on_cuda(name);
    const GoldenOutputs golden(name);
    PagedRun alone(model, DType::bf16), together(model, DType::bf16);
    std::vector<int> sequences;
    for (int i = 0; i < golden.n_prompts(); ++i) {
      const auto length = static_cast<int>(golden.ids(i).size());
      if (length <= kDecoded) continue;
      sequences.push_back(alone.add(golden.ids(i)));
      REQUIRE(together.add(golden.ids(i)) == sequences.back());
      for (PagedRun* run : {&alone, &together}) run->step({{sequences.back(), length - kDecoded}});
    }
    REQUIRE(sequences.size() >= 3);
    for (int i = 0; i < kDecoded; ++i) {
      std::vector<std::pair<int, int>> all;
      for (int s : sequences) {
        all.emplace_back(s, 1);
        alone.step({{s, 1}});
      }
      together.step(all);
    }
    for (int s : sequences) {
      INFO(name << ", sequence " << s);
      CHECK((alone.logits(s) == together.logits(s)));
    }
  }
}

}  // namespace lapidary
