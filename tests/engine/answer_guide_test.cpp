// Which tokens may come next: thoughts, budgets, where grammars begin, and what holds back an end.
#include "engine/answer_guide.h"

#include <algorithm>
#include <string>
#include <vector>

#include "engine/grammar/ebnf_reader.h"
#include "engine/sample_batch.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

constexpr int32_t kA = 0, kB = 1, kC = 2, kLine = 3, kCall = 4, kOpen = 5, kClose = 6, kOther = 7,
                  kStop = 8;
constexpr int64_t kVocab = 40;  // rows that no token has, as in real checkpoints

const GrammarVocabulary& vocabulary() {
  static const GrammarVocabulary made = [] {
    std::vector<GrammarVocabulary::Entry> entries(kVocab);
    const char* texts[] = {"a",       "b",        "c",       "\n",    "<call>",
                           "<think>", "</think>", "<other>", "<stop>"};
    for (size_t i = 0; i < std::size(texts); ++i) {
      entries[i] = {texts[i], i >= static_cast<size_t>(kCall)};
    }
    return GrammarVocabulary(entries, {kStop});
  }();
  return made;
}

std::shared_ptr<const Grammar> grammar(const std::string& ebnf) {
  return Grammar::compile(read_ebnf(ebnf, vocabulary()), vocabulary());
}

AnswerRules thinking_rules(const char* answer) {
  AnswerRules rules;
  if (answer != nullptr) rules.answer = grammar(answer);
  rules.thought_open = kOpen;
  rules.thought_close = kClose;
  rules.may_think = true;
  rules.thought_ending = {kLine, kClose};
  return rules;
}

AnswerGuide guide_of(const AnswerRules& rules) {
  return AnswerGuide(std::make_shared<const AnswerRules>(rules));
}

// What a draw may give, by way of the batch that the sampler gets. Empty: no draw was added.
std::vector<int32_t> drawable(const AnswerGuide& guide, Request request = {}) {
  Sequence s;
  request.tokens = {kA};
  s.tokens = request.tokens;
  s.n_prompt = 1;
  s.request = std::make_shared<const Request>(std::move(request));
  s.guide = guide;
  SampleBatch batch(kVocab);
  if (!batch.add_draw(s, 0)) {
    REQUIRE(batch.empty());
    return {};
  }
  const SampleArgs args = batch.args({});
  const SampleDraw& draw = args.draws[0];
  const auto banned = draw.banned.of(args.banned);
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < kVocab; ++id) {
    const bool is_masked = draw.mask >= 0 && (args.masks[id / 32] >> (id % 32) & 1U) == 0;
    if (!is_masked && std::find(banned.begin(), banned.end(), id) == banned.end()) {
      ids.push_back(id);
    }
  }
  return ids;
}

bool is_free(const std::vector<int32_t>& ids) { return ids.size() == kVocab; }

using Ids = std::vector<int32_t>;

}  // namespace

TEST_CASE("an answer is constrained from its first token, and ends where its grammar does",
          "[engine][grammar]") {
  AnswerRules rules;
  rules.answer = grammar(R"(root ::= "a" "b"?)");
  AnswerGuide guide = guide_of(rules);
  REQUIRE(drawable(guide) == Ids{kA});
  REQUIRE(guide.accept(kA));
  REQUIRE(drawable(guide) == Ids{kB, kStop});
  AnswerGuide fork = guide;
  REQUIRE(guide.accept(kB));
  REQUIRE(drawable(guide) == Ids{kStop});
  REQUIRE(guide.accept(kStop));
  REQUIRE(guide.is_ended());
  REQUIRE_FALSE(fork.is_ended());
  REQUIRE(drawable(fork) == Ids{kB, kStop});
}

TEST_CASE("min_tokens and ignore_eos hold an end back only while the grammar goes on",
          "[engine][grammar]") {
  AnswerRules rules;
  rules.answer = grammar(R"(root ::= "a" "b"?)");
  for (const bool by_length : {true, false}) {
    rules.avoids_end = !by_length;
    Request request;
    request.stop_ids = {kStop};
    if (by_length) request.sampling.min_tokens = 10;
    AnswerGuide guide = guide_of(rules);
    REQUIRE(guide.accept(kA));
    REQUIRE(drawable(guide, request) == Ids{kB});
    REQUIRE(guide.accept(kB));
    REQUIRE(drawable(guide, request) == Ids{kStop});
  }
}

TEST_CASE("a client's stop tokens and suppressed ones give way to a grammar as far as they must",
          "[engine][grammar]") {
  AnswerRules rules;
  rules.answer = grammar(R"(root ::= "a" ("b" | "c"))");
  Request request;
  request.stop_ids = {kA, kB};
  request.sampling.min_tokens = 10;
  AnswerGuide guide = guide_of(rules);
  REQUIRE(drawable(guide, request) == Ids{kA});  // the only one
  REQUIRE(guide.accept(kA));
  REQUIRE(drawable(guide, request) == Ids{kC});
  // What is never sampled is never sampled: the answer cannot go on.
  request.sampling.suppress_tokens = {kB, kC};
  REQUIRE(drawable(guide, request).empty());
}

TEST_CASE("a thought goes before a constrained answer, once, and no token can break out of it",
          "[engine][grammar]") {
  AnswerGuide guide = guide_of(thinking_rules(R"(root ::= "a")"));
  REQUIRE(drawable(guide) == Ids{kA, kOpen});
  REQUIRE(guide.accept(kOpen));
  Ids expected;
  for (int32_t id = 0; id < kVocab; ++id) {
    if (id < kCall || id == kClose || id > kStop) expected.push_back(id);
  }
  REQUIRE(drawable(guide) == expected);
  for (const int32_t id : {kC, kB, kLine}) REQUIRE(guide.accept(id));
  REQUIRE(drawable(guide) == expected);
  REQUIRE(guide.accept(kClose));
  REQUIRE(drawable(guide) == Ids{kA});
}

TEST_CASE("a prompt that ends in a thought seeds it; without thinking none may begin",
          "[engine][grammar]") {
  AnswerRules rules = thinking_rules(R"(root ::= "a")");
  rules.starts_in_thought = true;
  AnswerGuide guide = guide_of(rules);
  REQUIRE(drawable(guide).size() > 30);
  REQUIRE(guide.accept(kB));
  REQUIRE(guide.accept(kClose));
  REQUIRE(drawable(guide) == Ids{kA});
  rules.starts_in_thought = rules.may_think = false;
  REQUIRE(drawable(guide_of(rules)) == Ids{kA});
}

TEST_CASE("at its budget a thought is closed, with a new line where it has none",
          "[engine][grammar]") {
  for (const char* answer : {static_cast<const char*>(nullptr), R"(root ::= "a")"}) {
    AnswerRules rules = thinking_rules(answer);
    rules.thought_budget = 2;
    AnswerGuide guide = guide_of(rules);
    REQUIRE(guide.accept(kOpen));
    REQUIRE(guide.accept(kB));
    REQUIRE(drawable(guide).size() > 30);
    AnswerGuide with_line = guide;
    REQUIRE(guide.accept(kC));
    REQUIRE(drawable(guide) == Ids{kLine});
    REQUIRE(guide.accept(kLine));
    REQUIRE(drawable(guide) == Ids{kClose});
    REQUIRE(guide.accept(kClose));
    REQUIRE(with_line.accept(kLine));
    REQUIRE(drawable(with_line) == Ids{kClose});
    if (answer != nullptr) {
      REQUIRE(drawable(guide) == Ids{kA});
    } else {
      const Ids ids = drawable(guide);  // free, but no second thought
      REQUIRE(ids.size() == kVocab - 1);
      REQUIRE(std::find(ids.begin(), ids.end(), kOpen) == ids.end());
    }
  }
  AnswerRules rules = thinking_rules(nullptr);
  rules.thought_budget = 0;
  rules.starts_in_thought = true;
  REQUIRE(drawable(guide_of(rules)) == Ids{kLine});
}

TEST_CASE("min_tokens does not keep a thought open beyond its budget", "[engine][grammar]") {
  AnswerRules rules = thinking_rules(nullptr);
  rules.thought_budget = 1;
  rules.starts_in_thought = true;
  AnswerGuide guide = guide_of(rules);
  REQUIRE(guide.accept(kLine));
  Request request;
  request.stop_ids = {kClose, kStop};
  request.sampling.min_tokens = 10;
  REQUIRE(drawable(guide, request) == Ids{kClose});
}

TEST_CASE("a call in a free text begins its grammar, and nothing comes behind it",
          "[engine][grammar]") {
  AnswerRules rules = thinking_rules(nullptr);
  rules.calls = grammar(R"(root ::= <call> "a" "b" (<call> "c")?)");
  rules.call_open = kCall;
  AnswerGuide guide = guide_of(rules);
  REQUIRE(is_free(drawable(guide)));
  for (const int32_t id : {kB, kStop, kOther, kC}) REQUIRE(guide.accept(id));
  REQUIRE(is_free(drawable(guide)));
  REQUIRE(guide.accept(kOpen));
  REQUIRE(is_free(drawable(guide)));
  AnswerGuide in_thought = guide;
  REQUIRE(guide.accept(kClose));
  for (AnswerGuide* one : {&guide, &in_thought}) {  // a call ends a thought
    REQUIRE(one->accept(kCall));
    REQUIRE(drawable(*one) == Ids{kA});
    REQUIRE(one->accept(kA));
    REQUIRE(one->accept(kB));
    REQUIRE(drawable(*one) == Ids{kCall, kStop});
    REQUIRE(one->accept(kCall));
    REQUIRE(one->accept(kC));
    REQUIRE(drawable(*one) == Ids{kStop});
  }
}

TEST_CASE("beside an answer of a given form a call may be made instead of it",
          "[engine][grammar]") {
  AnswerRules rules;
  rules.answer = grammar(R"(root ::= "a" "b")");
  rules.calls = grammar(R"(root ::= <call> "c")");
  rules.call_open = kCall;
  AnswerGuide guide = guide_of(rules);
  REQUIRE(drawable(guide) == Ids{kA, kCall});
  AnswerGuide calling = guide;
  REQUIRE(guide.accept(kA));
  REQUIRE(drawable(guide) == Ids{kB});  // no longer
  REQUIRE(calling.accept(kCall));
  REQUIRE(drawable(calling) == Ids{kC});
}

TEST_CASE("an answer whose grammar stands in too many places at once is given up, not the process",
          "[engine][grammar]") {
  std::vector<GrammarVocabulary::Entry> entries;
  for (char c = 'a'; c <= 'z'; ++c) entries.push_back({std::string(1, c), false});
  entries.push_back({"<stop>", true});
  const GrammarVocabulary letters(entries, {26});
  // Each "a" doubles the stacks of x; meanwhile v alone counts them, and takes a "t" behind the
  // last.
  std::string ebnf =
      "root ::= x \"m\" | v1 \"n\"\n"
      "x ::= \"a\" (y \"b\" | z \"c\" | \"d\")\n"
      "y ::= \"a\" (x \"e\" | w \"g\" | \"d\")\n"
      "z ::= \"a\" (x \"f\" | w \"h\" | \"d\")\n"
      "w ::= \"a\" (x \"i\" | y \"j\" | \"d\")\n";
  const int n = 12;
  for (int i = 1; i <= n; ++i) {
    ebnf += "v" + std::to_string(i) + " ::= \"a\" v" + std::to_string(i + 1) +
            " \"z\" | \"u\" v1 \"z\"\n";
  }
  ebnf += "v" + std::to_string(n + 1) + " ::= \"t\" | \"u\" v1 \"z\"\n";
  AnswerRules rules;
  rules.answer = Grammar::compile(read_ebnf(ebnf, letters), letters);
  AnswerGuide guide = guide_of(rules);
  std::vector<uint32_t> mask(1);
  bool goes_on = true;
  for (int i = 0; i < n && goes_on; ++i) goes_on = guide.accept('a' - 'a');
  if (goes_on) {
    guide.allow(mask);
    goes_on = (mask[0] >> ('t' - 'a') & 1U) != 0 && guide.accept('t' - 'a');
  }
  REQUIRE_FALSE(goes_on);
}

}  // namespace lapidary
