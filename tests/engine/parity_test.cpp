// The engine against the official implementation, on tiny checkpoints of every architecture:
// logits at every position however the prompt is cut and whatever runs beside it, greedy text
// through the whole engine, and the router by itself (the norm behind the experts hides a wrong
// common factor of their weights).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <stdexcept>

#include "engine/engine.h"
#include "tests/catch.h"
#include "tests/engine/bf16_parity.h"
#include "tests/engine/golden_model.h"
#include "tests/engine/golden_outputs.h"
#include "tests/engine/greedy_cases.h"
#include "tests/engine/paged_run.h"

namespace lapidary {
namespace {

// Largest difference as a share of the largest official logit.
double relative_error(const std::vector<float>& ours, const std::vector<float>& official) {
  REQUIRE(ours.size() == official.size());
  float difference = 0, largest = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    REQUIRE(std::isfinite(ours[i]));
    difference = std::max(difference, std::abs(ours[i] - official[i]));
    largest = std::max(largest, std::abs(official[i]));
  }
  return double{difference} / largest;
}

// The five prompts, one after the other, in chunks of this size. The largest error.
double error_of_chunks(const GoldenModel& model, const GoldenOutputs& golden, int chunk) {
  PagedRun run(model);
  double error = 0;
  for (int i = 0; i < golden.n_prompts(); ++i) {
    const int s = run.add(golden.ids(i));
    run.finish(s, chunk);
    error = std::max(error, relative_error(run.logits(s), golden.logits(i)));
  }
  return error;
}

// Two of each prompt side by side, every sequence cut differently, in one batch a step.
double error_of_mixed_batch(const GoldenModel& model, const GoldenOutputs& golden) {
  constexpr int kChunks[] = {1, 64, 3, 16, 2, 5, 17, 7, 1, 9};
  PagedRun run(model);
  const int n = 2 * golden.n_prompts();
  REQUIRE(n == static_cast<int>(std::size(kChunks)));
  for (int s = 0; s < n; ++s) run.add(golden.ids(s % golden.n_prompts()));
  for (int turn = 0;; ++turn) {
    std::vector<std::pair<int, int>> parts;
    for (int s = 0; s < n; ++s) {
      const bool has_started = s <= 2 * turn;  // they join one by one, others are well under way
      const int count = std::min(kChunks[s], run.n_pending(s));
      if (has_started && count > 0) parts.emplace_back(s, count);
    }
    if (parts.empty()) break;
    run.step(parts);
  }
  double error = 0;
  for (int s = 0; s < n; ++s) {
    REQUIRE(run.n_pending(s) == 0);
    error = std::max(error, relative_error(run.logits(s), golden.logits(s % golden.n_prompts())));
  }
  return error;
}

// All cases at once. How often a sequence was preempted.
int64_t check_greedy(const std::string& name, const EngineOptions& options, int copies) {
  GoldenModel model = GoldenModel::open(name, DType::f32, 2);
  const std::vector<GreedyCase> cases = greedy_cases(GoldenOutputs(name), copies);
  Engine engine(*model.backend, std::move(model.decoder), options);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (const GreedyCase& c : cases) {
    const Submission submission = engine.submit(c.request);
    REQUIRE(std::holds_alternative<std::shared_ptr<TokenStream>>(submission));
    streams.push_back(std::get<std::shared_ptr<TokenStream>>(submission));
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    INFO(name << " prompt of " << cases[i].request.tokens.size() << " tokens, request " << i);
    CHECK((answer_of(*streams[i]) == cases[i].official));
  }
  return engine.stats().preemptions;
}

double log_sum_exp(const float* logits, int n) {
  const float largest = *std::max_element(logits, logits + n);
  const double sum = std::accumulate(logits, logits + n, 0.0, [&](double total, float x) {
    return total + std::exp(double{x} - largest);
  });
  return largest + std::log(sum);
}

}  // namespace

TEST_CASE("float32 logits are the official ones under every chunking and in mixed batches",
          "[engine][parity]") {
  std::printf("relative error of logits, float32   whole  by one  by three  by window  mixed\n");
  for (const char* name : kGoldenCheckpoints) {
    const GoldenModel model = GoldenModel::open(name);
    const GoldenOutputs golden(name);
    REQUIRE(golden.n_prompts() == 5);
    const int window = model.config.layers[0].window;
    const double errors[] = {error_of_chunks(model, golden, 512), error_of_chunks(model, golden, 1),
                             error_of_chunks(model, golden, 3),
                             error_of_chunks(model, golden, window),
                             error_of_mixed_batch(model, golden)};
    std::printf("%-32s %8.1e %7.1e %9.1e %10.1e %6.1e\n", name, errors[0], errors[1], errors[2],
                errors[3], errors[4]);
    for (const double error : errors) {
      INFO(name);
      CHECK(error < 1e-4);
    }
  }
}

TEST_CASE("float32 logits are the official ones under every instruction set of this machine",
          "[engine][parity]") {
  int n_run = 0;
  for (const char* isa : {"generic", "neon", "avx2", "avx512", "avx512bf16"}) {
    for (const char* name : kGoldenCheckpoints) {
      GoldenModel model;
      try {
        model = GoldenModel::open(name, DType::f32, 2, isa);
      } catch (const std::invalid_argument&) {
        continue;  // another machine's
      }
      INFO(name << " on " << isa);
      CHECK(error_of_chunks(model, GoldenOutputs(name), 11) < 1e-4);
      ++n_run;
    }
  }
  REQUIRE(n_run >= static_cast<int>(std::size(kGoldenCheckpoints)));  // generic runs everywhere
}

TEST_CASE("greedy text is the official one, alone and side by side", "[engine][parity]") {
  for (const char* name : kGoldenCheckpoints) {
    EngineOptions options = roomy_options();
    options.max_num_seqs = 1;
    check_greedy(name, options, 1);
    options.max_num_seqs = 12;
    options.max_num_batched_tokens = 13;
    check_greedy(name, options, 4);
  }
}

TEST_CASE("greedy text is the official one after preemption and recompute", "[engine][parity]") {
  for (const char* name : kGoldenCheckpoints) {
    EngineOptions options = roomy_options();
    options.max_num_seqs = 12;
    options.max_num_batched_tokens = 29;
    options.sliding_pages = options.global_pages = 14;
    INFO(name);
    CHECK(check_greedy(name, options, 4) > 0);
  }
}

TEST_CASE("the engine's prompt logprobs are those of the official logits", "[engine][parity]") {
  for (const char* name : kGoldenCheckpoints) {
    GoldenModel model = GoldenModel::open(name);
    const GoldenOutputs golden(name);
    const int vocab = model.config.vocab;
    Engine engine(*model.backend, std::move(model.decoder), roomy_options());
    Request request{.tokens = golden.ids(4), .prompt_logprobs = true};
    request.sampling.n_logprobs = 1;
    const Submission submission = engine.submit(request);
    const auto stream = std::get<std::shared_ptr<TokenStream>>(submission);
    const std::vector<float> official = golden.logits(4);
    size_t position = 0;  // of the token that an event scores
    while (!stream->done()) {
      for (const TokenEvent& e : stream->take(std::chrono::seconds(5))) {
        if (!e.is_prompt) continue;
        if (position > 0) {
          const float* row = official.data() + (position - 1) * vocab;
          const double scale = log_sum_exp(row, vocab);
          INFO(name << " position " << position);
          REQUIRE(e.logprob.has_value());
          CHECK(*e.logprob == Approx(row[request.tokens[position]] - scale).margin(2e-3));
          REQUIRE(e.top.size() == 1);
          CHECK(e.top[0].token == best(row, vocab));
        }
        ++position;
      }
    }
    REQUIRE(position == request.tokens.size());
  }
}

TEST_CASE("the router picks and weighs the official experts", "[engine][parity]") {
  for (const char* name : {"moe", "moe_text"}) {
    for (const DType compute : {DType::f32, DType::bf16}) {
      const ModelConfig config = ModelConfig::load(GoldenModel::folder(name));
      const auto backend = make_cpu_backend({.compute = compute, .n_threads = 2});
      const auto checkpoint = Checkpoint::open(GoldenModel::folder(name), config);
      const Weights weights = load_weights(config, *checkpoint, *backend);
      const GoldenOutputs golden(name);
      const auto n_tokens = static_cast<int64_t>(golden.ids(4).size());
      for (int l = 0; l < config.n_layers(); ++l) {
        const std::string prefix = "router." + std::to_string(l) + ".";
        std::vector<float> h = golden.floats(prefix + "input");
        std::vector<int32_t> experts(n_tokens * config.top_k_experts);
        std::vector<float> shares(experts.size());
        const LayerWeights& layer = weights.layers[l];
        backend->moe_route(
            {.h = Tensor(h.data(), DType::f32, {n_tokens, config.hidden}),
             .scale = layer.router_scale.tensor(),
             .proj = &layer.router,
             .per_expert_scale = layer.per_expert_scale.tensor(),
             .eps = config.rms_eps,
             .top_k = config.top_k_experts,
             .experts = Tensor(experts.data(), DType::i32, {n_tokens, config.top_k_experts}),
             .weights = Tensor(shares.data(), DType::f32, {n_tokens, config.top_k_experts})});
        INFO(name << " layer " << l << " " << dtype_name(compute));
        CHECK((experts == golden.ints(prefix + "ids")));
        CHECK(relative_error(shares, golden.floats(prefix + "weights")) < 1e-5);
      }
    }
  }
}

TEST_CASE("bf16 is as near to float32 as the official bf16, and agrees where the lead is clear",
          "[engine][parity]") {
  print_bf16_head();
  for (const char* name : kGoldenCheckpoints) {
    check_bf16(GoldenModel::open(name, DType::bf16), name, 7);
  }
}

}  // namespace lapidary
