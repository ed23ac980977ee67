// Constrained answers through the whole engine, on a tiny checkpoint with random weights: whatever
// it would rather say, and in whatever company, its answer is one of its grammar.
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/grammar/ebnf_reader.h"
#include "engine/grammar/matcher.h"
#include "engine/text/tokenizer.h"
#include "tests/catch.h"
#include "tests/engine/golden_model.h"

namespace lapidary {
namespace {

struct Answer {
  std::vector<int32_t> tokens;
  FinishReason finish = FinishReason::none;

  bool operator==(const Answer&) const = default;
};

struct World {
  GoldenModel golden = GoldenModel::open("moe");
  Tokenizer tokenizer = Tokenizer::from_file(GoldenModel::folder("moe") / "tokenizer.json");
  std::vector<int32_t> stops = golden.config.ids.eos;
  GrammarVocabulary vocabulary{tokenizer, stops};
  int32_t open = *tokenizer.control_id("<|channel>"), close = *tokenizer.control_id("<channel|>");

  std::shared_ptr<const Grammar> grammar(const std::string& ebnf) const {
    return Grammar::compile(read_ebnf(ebnf, vocabulary), vocabulary);
  }

  // Every token that begins so, bytes of their own among them.
  std::vector<int32_t> tokens_from(std::string_view text) const {
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.bytes(id).starts_with(text)) ids.push_back(id);
    }
    return ids;
  }

  std::string text(const std::vector<int32_t>& tokens) const {
    return tokenizer.decode(tokens, /*skip_control=*/true);
  }
};

Request request_with(AnswerRules rules, const World& world, int max_tokens = 100) {
  Request request{.tokens = {2, 5, 6, 7}, .max_tokens = max_tokens, .stop_ids = world.stops};
  request.rules = std::make_shared<const AnswerRules>(std::move(rules));
  request.sampling.temperature = 1.5F;
  return request;
}

std::shared_ptr<TokenStream> submit(Engine& engine, const Request& request) {
  return std::get<std::shared_ptr<TokenStream>>(engine.submit(request));
}

std::vector<Answer> read(TokenStream& stream, int n) {
  std::vector<Answer> answers(n);
  while (!stream.done()) {
    for (const TokenEvent& e : stream.take(std::chrono::seconds(5))) {
      if (e.token >= 0) answers[e.choice].tokens.push_back(e.token);
      if (e.finish != FinishReason::none) answers[e.choice].finish = e.finish;
    }
  }
  return answers;
}

const char kDate[] = R"(root ::= "on 20" [0-9]{2} "-" [0-9]{2} (" or " root)?)";

}  // namespace

TEST_CASE("constrained answers match their grammar, alone and in any company, preempted or not",
          "[engine][grammar]") {
  World world;
  const auto grammar = world.grammar(kDate);
  std::vector<Request> requests;
  std::mt19937 random(3);
  for (int i = 0; i < 24; ++i) {
    Request request = request_with({.answer = grammar}, world, 60);
    if (i % 4 == 3) request.rules = nullptr;
    request.sampling.seed = random();
    request.n = i % 5 == 0 ? 3 : 1;
    for (size_t k = random() % 40; k > 0; --k) {
      request.tokens.push_back(static_cast<int32_t>(random() % 300));
    }
    requests.push_back(request);
  }
  std::vector<std::vector<Answer>> alone;
  {
    Engine engine(*world.golden.backend, std::move(world.golden.decoder), roomy_options());
    for (const Request& r : requests) alone.push_back(read(*submit(engine, r), r.n));
  }
  int n_ended = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!requests[i].rules) continue;
    for (const Answer& answer : alone[i]) {
      INFO(world.text(answer.tokens));
      Matcher matcher(grammar);
      for (const int32_t token : answer.tokens) REQUIRE(matcher.accept(token));
      REQUIRE(matcher.is_ended() == (answer.finish == FinishReason::stop));
      if (answer.finish != FinishReason::stop) continue;
      ++n_ended;
      std::vector<int32_t> tokens = answer.tokens;
      tokens.pop_back();
      REQUIRE(std::regex_match(world.text(tokens),
                               std::regex("(on 20[0-9]{2}-[0-9]{2} or )*on 20[0-9]{2}-[0-9]{2}")));
    }
  }
  REQUIRE(n_ended > 15);
  GoldenModel again = GoldenModel::open("moe");
  EngineOptions options = roomy_options();
  options.max_num_seqs = 8;
  options.max_num_batched_tokens = 9;
  options.sliding_pages = options.global_pages = 12;
  Engine engine(*again.backend, std::move(again.decoder), options);
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (const Request& r : requests) streams.push_back(submit(engine, r));
  for (size_t i = 0; i < requests.size(); ++i) {
    REQUIRE((read(*streams[i], requests[i].n) == alone[i]));
  }
  REQUIRE(engine.stats().preemptions > 0);
}

TEST_CASE("a grammar ends its answer even where no stop token would", "[engine][grammar]") {
  World world;
  Engine engine(*world.golden.backend, std::move(world.golden.decoder), roomy_options());
  // ignore_eos: no stop ids; the grammar goes on as long as it can.
  Request request = request_with(
      {.answer = world.grammar(R"(root ::= "a" | "a" "b" | "a" "b" "c")"), .avoids_end = true},
      world);
  request.stop_ids.clear();
  for (const int min_tokens : {0, 50}) {
    request.sampling.min_tokens = min_tokens;
    const Answer answer = read(*submit(engine, request), 1)[0];
    REQUIRE(answer.finish == FinishReason::stop);
    REQUIRE(world.text(answer.tokens) == "abc");
  }
}

TEST_CASE("a client's own stop token ends nothing inside a grammar", "[engine][grammar]") {
  World world;
  Engine engine(*world.golden.backend, std::move(world.golden.decoder), roomy_options());
  Request request = request_with({.answer = world.grammar(R"(root ::= "a" "7" "b")")}, world);
  request.stop_ids = world.tokens_from("7");
  const Answer answer = read(*submit(engine, request), 1)[0];
  REQUIRE(answer.finish == FinishReason::stop);
  REQUIRE(world.text(answer.tokens).substr(0, 3) == "a7b");
}

TEST_CASE("a budget closes the thought, and the answer behind it is constrained",
          "[engine][grammar]") {
  World world;
  Engine engine(*world.golden.backend, std::move(world.golden.decoder), roomy_options());
  for (const int budget : {0, 1, 7}) {
    AnswerRules rules{.answer = world.grammar(R"(root ::= "yes" | "no")"),
                      .thought_open = world.open,
                      .thought_close = world.close,
                      .starts_in_thought = true,
                      .thought_budget = budget,
                      .thought_ending = world.tokenizer.encode("\n")};
    rules.thought_ending.push_back(world.close);
    for (uint64_t seed = 0; seed < 10; ++seed) {
      Request request = request_with(rules, world);
      request.sampling.seed = seed;
      const Answer answer = read(*submit(engine, request), 1)[0];
      REQUIRE(answer.finish == FinishReason::stop);
      const auto at = std::find(answer.tokens.begin(), answer.tokens.end(), world.close);
      REQUIRE(at != answer.tokens.end());
      const auto n_thought = at - answer.tokens.begin();
      REQUIRE(n_thought <= budget + 1);
      if (n_thought > 0 && n_thought >= budget) REQUIRE(*(at - 1) == rules.thought_ending[0]);
      const std::string said = world.text({at + 1, answer.tokens.end()});
      REQUIRE((said == "yes" || said == "no"));
    }
  }
}

TEST_CASE("rules that leave nothing to say end one answer and nothing else", "[engine][grammar]") {
  World world;
  Engine engine(*world.golden.backend, std::move(world.golden.decoder), roomy_options());
  Request request = request_with({.answer = world.grammar(R"(root ::= "7" "8")")}, world);
  request.sampling.suppress_tokens = world.tokens_from("8");
  request.n = 2;
  const auto stuck = submit(engine, request);
  Request other = request;
  other.rules = nullptr;
  other.sampling.suppress_tokens.clear();
  other.n = 1;
  const auto free = submit(engine, other);
  for (const Answer& answer : read(*stuck, 2)) {
    REQUIRE(answer.finish == FinishReason::failed);
    REQUIRE(world.text(answer.tokens) == "7");
  }
  REQUIRE(read(*free, 1)[0].finish != FinishReason::failed);
}

}  // namespace lapidary
