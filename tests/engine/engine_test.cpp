// The whole engine on tiny checkpoints: whatever runs beside a request, however its prompt is cut
// and however often it is preempted, its tokens and its logprobs are the same to the last bit.
#include "engine/engine.h"

#include <random>
#include <thread>
#include <vector>

#include "tests/catch.h"
#include "tests/engine/golden_model.h"

namespace lapidary {
namespace {

// One choice's answer, with all that must not depend on the company it keeps.
struct Answer {
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  // of the chosen tokens, then of the top ones
  std::vector<float> prompt_logprobs;
  FinishReason finish = FinishReason::none;

  bool operator==(const Answer&) const = default;
};

std::vector<Answer> read(TokenStream& stream, int n) {
  std::vector<Answer> answers(n);
  while (!stream.done()) {
    for (const TokenEvent& e : stream.take(std::chrono::seconds(5))) {
      Answer& a = answers[e.choice];
      auto& logprobs = e.is_prompt ? a.prompt_logprobs : a.logprobs;
      if (e.logprob) logprobs.push_back(*e.logprob);
      for (const TokenLogprob& top : e.top) logprobs.push_back(top.logprob);
      if (e.token >= 0 && !e.is_prompt) a.tokens.push_back(e.token);
      if (e.finish != FinishReason::none) a.finish = e.finish;
    }
  }
  return answers;
}

std::shared_ptr<TokenStream> must_submit(Engine& engine, const Request& request) {
  const Submission submission = engine.submit(request);
  REQUIRE(std::holds_alternative<std::shared_ptr<TokenStream>>(submission));
  return std::get<std::shared_ptr<TokenStream>>(submission);
}

std::vector<Answer> run(Engine& engine, const Request& request) {
  return read(*must_submit(engine, request), request.n);
}

std::vector<Request> random_requests(const ModelConfig& config, unsigned seed, int count) {
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  std::vector<Request> requests(count);
  for (Request& r : requests) {
    const int length = pick(1, 90);
    for (int i = 0; i < length; ++i) r.tokens.push_back(pick(0, config.vocab - 1));
    r.max_tokens = pick(1, 40);
    r.n = pick(0, 3) == 0 ? 3 : 1;
    r.prompt_logprobs = pick(0, 4) == 0;
    SamplingParams& p = r.sampling;
    p.temperature = pick(0, 1) == 0 ? 0.0F : 0.8F;
    p.top_k = pick(0, 1) == 0 ? 0 : 20;
    p.top_p = pick(0, 1) == 0 ? 1.0F : 0.9F;
    p.seed = static_cast<uint64_t>(pick(0, 1 << 30));
    p.n_logprobs = 3;
    if (pick(0, 3) == 0) p.repetition_penalty = 1.2F;
    if (pick(0, 3) == 0) p.presence_penalty = 0.5F;
    r.stop_ids = {pick(0, config.vocab - 1)};
  }
  return requests;
}

bool all_pages_free(const Engine& engine) {
  for (int i = 0; i < 200; ++i) {
    const EngineStats stats = engine.stats();
    if (stats.pages_free == stats.pages_total && stats.running + stats.waiting == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::vector<std::vector<Answer>> one_at_a_time(const std::string& name, DType compute,
                                               const std::vector<Request>& requests) {
  GoldenModel golden = GoldenModel::open(name, compute);
  Engine engine(*golden.backend, std::move(golden.decoder), roomy_options(compute));
  std::vector<std::vector<Answer>> answers;
  for (const Request& r : requests) answers.push_back(run(engine, r));
  return answers;
}

}  // namespace

TEST_CASE("answers and logprobs are bit-equal alone and in any company", "[engine]") {
  for (const char* name : {"moe", "e2b", "dense31b"}) {
    for (const DType compute : {DType::f32, DType::bf16}) {
      const ModelConfig config = ModelConfig::load(GoldenModel::folder(name));
      const std::vector<Request> requests = random_requests(config, 7, 24);
      const auto alone = one_at_a_time(name, compute, requests);

      struct Setup {
        int seqs, step_tokens, pages, threads;
      };
      // Odd chunk sizes; pools in which a few sequences fight for pages; two threads.
      int64_t n_preemptions = 0;
      for (const Setup& setup : {Setup{16, 64, 600, 2}, Setup{5, 7, 600, 1}, Setup{8, 33, 12, 2},
                                 Setup{16, 512, 14, 1}}) {
        GoldenModel golden = GoldenModel::open(name, compute, setup.threads);
        EngineOptions options = roomy_options(compute);
        options.max_num_seqs = setup.seqs;
        options.max_num_batched_tokens = setup.step_tokens;
        options.sliding_pages = options.global_pages = setup.pages;
        Engine engine(*golden.backend, std::move(golden.decoder), options);
        std::vector<std::shared_ptr<TokenStream>> streams;
        for (const Request& r : requests) streams.push_back(must_submit(engine, r));
        for (size_t i = 0; i < requests.size(); ++i) {
          INFO(name << " " << dtype_name(compute) << " request " << i << " pages " << setup.pages
                    << " step " << setup.step_tokens);
          CHECK((read(*streams[i], requests[i].n) == alone[i]));
        }
        REQUIRE(all_pages_free(engine));
        n_preemptions += engine.stats().preemptions;
      }
      REQUIRE(n_preemptions > 0);
    }
  }
}

TEST_CASE("a cancelled request frees its pages, wherever it stands", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  EngineOptions options = roomy_options();
  options.max_num_seqs = 2;
  options.max_num_batched_tokens = 8;
  Engine engine(*golden.backend, std::move(golden.decoder), options);
  Request request{.tokens = std::vector<int32_t>(300, 5), .max_tokens = 200};
  request.sampling.temperature = 0;
  std::vector<std::shared_ptr<TokenStream>> streams;  // two run, the others wait
  for (int i = 0; i < 6; ++i) streams.push_back(must_submit(engine, request));
  streams[4]->cancel();
  streams[0]->cancel();
  while (streams[1]->take(std::chrono::seconds(5)).empty()) {
  }
  streams[1]->cancel();
  for (int i : {2, 3, 5}) streams[i]->cancel();
  for (auto& stream : streams) REQUIRE(read(*stream, 1)[0].finish == FinishReason::cancelled);
  REQUIRE(all_pages_free(engine));
}

TEST_CASE("one choice can be ended alone", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  Engine engine(*golden.backend, std::move(golden.decoder), roomy_options());
  Request request{.tokens = {5, 6, 7}, .n = 2, .max_tokens = 400};
  request.sampling.seed = 3;
  const auto stream = must_submit(engine, request);
  stream->cancel_choice(1);
  const auto answers = read(*stream, 2);
  REQUIRE(answers[0].finish == FinishReason::length);
  REQUIRE(answers[0].tokens.size() == 400);
  REQUIRE(answers[1].finish == FinishReason::cancelled);
  REQUIRE(all_pages_free(engine));
}

TEST_CASE("refuses what is too long, too much, or too late", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  EngineOptions options = roomy_options();
  options.max_num_seqs = 1;
  options.max_queued_requests = 1;
  options.global_pages = 8;  // 128 tokens
  Engine engine(*golden.backend, std::move(golden.decoder), options);
  Request request{.tokens = {1, 2, 3}, .max_tokens = 100};
  request.sampling.temperature = 0;
  Request longer = request;
  longer.max_tokens = 510;
  REQUIRE(std::get<Refusal>(engine.submit(longer)) == Refusal::too_long);
  longer.max_tokens = 126;
  REQUIRE(std::get<Refusal>(engine.submit(longer)) == Refusal::too_long);
  Request wide = request;
  wide.n = 3;
  REQUIRE(std::get<Refusal>(engine.submit(wide)) == Refusal::queue_full);

  const auto stream = must_submit(engine, request);
  engine.drain(std::chrono::steady_clock::now() + std::chrono::seconds(60));
  REQUIRE(read(*stream, 1)[0].finish == FinishReason::length);
  REQUIRE(std::get<Refusal>(engine.submit(request)) == Refusal::draining);
}

TEST_CASE("draining cancels what is not done at the deadline", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  Engine engine(*golden.backend, std::move(golden.decoder), roomy_options());
  Request request{.tokens = std::vector<int32_t>(100, 5), .max_tokens = 400};
  const auto stream = must_submit(engine, request);
  engine.drain(std::chrono::steady_clock::now());
  REQUIRE(read(*stream, 1)[0].finish == FinishReason::cancelled);
}

TEST_CASE("a reader that does not read is cut off, and the engine goes on", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  EngineOptions options = roomy_options();
  options.max_model_len = 6000;
  Engine engine(*golden.backend, std::move(golden.decoder), options);
  Request request{.tokens = {5}, .max_tokens = 5000};
  const auto lazy = must_submit(engine, request);
  Request other{.tokens = {6}, .max_tokens = 10};
  REQUIRE(run(engine, other)[0].tokens.size() == 10);
  while (!lazy->cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const Answer got = read(*lazy, 1)[0];
  REQUIRE(got.tokens.size() >= 4000);
  REQUIRE(got.tokens.size() < 5000);
  REQUIRE(run(engine, other)[0].tokens.size() == 10);
}

TEST_CASE("stop ids end a choice, min_tokens holds them back, max_tokens cuts", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  Engine engine(*golden.backend, std::move(golden.decoder), roomy_options());
  Request request{.tokens = {5, 6, 7}, .max_tokens = 20};
  request.sampling.temperature = 0;
  const Answer free = run(engine, request)[0];
  REQUIRE(free.finish == FinishReason::length);
  REQUIRE(free.tokens.size() == 20);
  request.stop_ids = {free.tokens[4]};
  const Answer stopped = run(engine, request)[0];
  REQUIRE(stopped.finish == FinishReason::stop);
  REQUIRE(stopped.tokens.size() <= 5);
  REQUIRE(stopped.tokens.back() == free.tokens[4]);
  request.sampling.min_tokens = 12;
  REQUIRE(run(engine, request)[0].tokens.size() >= 12);
}

TEST_CASE("a prompt can be scored without an answer", "[engine]") {
  GoldenModel golden = GoldenModel::open("moe");
  Engine engine(*golden.backend, std::move(golden.decoder), roomy_options());
  Request request{.tokens = {5, 6, 7, 8}, .max_tokens = 0, .prompt_logprobs = true};
  request.sampling.n_logprobs = 0;
  const Answer answer = run(engine, request)[0];
  REQUIRE(answer.tokens.empty());
  REQUIRE(answer.prompt_logprobs.size() == 3);
  REQUIRE(answer.finish == FinishReason::length);
}

}  // namespace lapidary
