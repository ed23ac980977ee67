// The automaton, the masks and the matcher, on small vocabularies and random grammars: a mask must
// be what accepting each token in turn says, and accepting must be what a plain search over the
// rules says.
#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "engine/grammar/ebnf_reader.h"
#include "engine/grammar/mask_maker.h"
#include "engine/grammar/matcher.h"
#include "engine/grammar/text_sources.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

using Entry = GrammarVocabulary::Entry;

// "a".."d", some longer tokens, two tokens with equal bytes, a control token, a stop, an empty one.
GrammarVocabulary small_vocabulary() {
  std::vector<Entry> entries;
  for (const char* text : {"a", "b", "c", "d", "ab", "ba", "abc", "aab", "cd", "dd", "abab", "bc",
                           "aaaa", "cab", "dc", "a", "bbb", "abcd", ""}) {
    entries.push_back({text, false});
  }
  entries.push_back({"<call>", true});
  entries.push_back({"<stop>", true});
  return GrammarVocabulary(entries, {static_cast<int32_t>(entries.size()) - 1});
}

std::vector<int32_t> bits(const std::vector<uint32_t>& mask) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < 32 * mask.size(); ++i) {
    if ((mask[i / 32] >> (i % 32)) & 1U) ids.push_back(static_cast<int32_t>(i));
  }
  return ids;
}

std::vector<int32_t> allowed(const Matcher& matcher) {
  std::vector<uint32_t> mask(matcher.n_words(), 0xFFFFFFFFU);
  matcher.allowed(mask);
  return bits(mask);
}

std::vector<int32_t> accepted(const Matcher& matcher, int32_t vocab) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocab; ++id) {
    if (Matcher(matcher).accept(id)) ids.push_back(id);
  }
  return ids;
}

Matcher matcher_of(const std::string& ebnf, const GrammarVocabulary& vocabulary) {
  return Matcher(Grammar::compile(read_ebnf(ebnf, vocabulary), vocabulary));
}

// A random EBNF grammar over a..d whose rules consume something before they recur.
std::string random_grammar(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const int n_rules = 1 + below(4);
  std::string text;
  std::function<std::string(int, bool)> expression = [&](int depth, bool may_call) -> std::string {
    const int kind = below(depth > 3 ? 3 : 8);
    const auto letter = [&] { return std::string(1, static_cast<char>('a' + below(4))); };
    if (kind == 0) return "\"" + letter() + "\"";
    if (kind == 1) return "[" + letter() + letter() + "]";
    if (kind == 2) return "[" + letter() + "-d]";
    if (kind == 3)
      return "(" + expression(depth + 1, may_call) + " | " + expression(depth + 1, may_call) + ")";
    if (kind == 4)
      return "(" + expression(depth + 1, may_call) + ")" + std::string(1, "*+?"[below(3)]);
    if (kind == 5) return "\"" + letter() + "\" r" + std::to_string(below(n_rules));
    if (kind == 6) return "<call>";
    return expression(depth + 1, may_call) + " " + expression(depth + 1, true);
  };
  text = "root ::= r0\n";
  for (int i = 0; i < n_rules; ++i) {
    text += "r" + std::to_string(i) + " ::= " + expression(0, false) +
            (below(3) == 0 ? " | \"d\"" : "") + "\n";
  }
  return text;
}

// `prepare` sees each grammar before its first matcher.
template <typename Prepare>
void check_masks(const Prepare& prepare) {
  const GrammarVocabulary vocabulary = small_vocabulary();
  std::mt19937 random(7);
  int n_states = 0;
  for (int i = 0; i < 1500; ++i) {
    const std::string text = random_grammar(random);
    std::shared_ptr<const Grammar> grammar;
    try {
      grammar = Grammar::compile(read_ebnf(text, vocabulary), vocabulary);
    } catch (const GrammarRefused&) {
      continue;
    }
    prepare(grammar);
    Matcher matcher(grammar);
    for (int step = 0; step < 12 && !matcher.is_ended(); ++step) {
      const auto ids = allowed(matcher);
      INFO(text << " step " << step);
      REQUIRE(ids == accepted(matcher, vocabulary.size()));
      REQUIRE_FALSE(ids.empty());  // no dead ends: every byte is a token
      REQUIRE(matcher.is_complete() ==
              std::binary_search(ids.begin(), ids.end(), vocabulary.stops()[0]));
      REQUIRE(matcher.accept(ids[random() % ids.size()]));
      ++n_states;
    }
  }
  REQUIRE(n_states > 3000);
}

}  // namespace

TEST_CASE("masks equal what accepting every token says, in random grammars and states",
          "[engine][grammar]") {
  check_masks([](const auto&) {});
}

TEST_CASE("so do masks that were made ahead", "[engine][grammar]") {
  MaskMaker maker;
  check_masks([&](const std::shared_ptr<const Grammar>& grammar) {
    const size_t before = grammar->bytes();
    maker.add(grammar);
    maker.wait_until_idle();
    REQUIRE(grammar->bytes() > before);
  });
}

TEST_CASE("and masks that are made meanwhile", "[engine][grammar]") {
  MaskMaker maker;
  check_masks([&](const std::shared_ptr<const Grammar>& grammar) { maker.add(grammar); });
}

TEST_CASE("the bytes that were accepted are in the language, and only those", "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  // Palindromes around a `d`: no automaton without a stack tells them.
  const std::string ebnf = R"(root ::= "a" root "a" | "b" root "b" | "d")";
  const auto grammar = Grammar::compile(read_ebnf(ebnf, vocabulary), vocabulary);
  const auto takes = [&](const std::string& text) {
    Matcher matcher(grammar);
    for (const char c : text) {
      if (!matcher.accept(c - 'a')) return false;
    }
    return matcher.is_complete();
  };
  REQUIRE(takes("d"));
  REQUIRE(takes("abdba"));
  REQUIRE(takes("aabbabdbabbaa"));
  REQUIRE_FALSE(takes("abdab"));
  REQUIRE_FALSE(takes("abd"));
  REQUIRE_FALSE(takes(""));
  REQUIRE_FALSE(takes("dd"));
}

TEST_CASE("calls nest as deep as the limit, where masks and acceptance still agree",
          "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  Matcher matcher = matcher_of(R"(root ::= "a" root "c" | "d")", vocabulary);
  int depth = 0;
  while (matcher.accept(12)) {  // "aaaa"
    depth += 4;
    if (depth > 960) REQUIRE(allowed(matcher) == accepted(matcher, vocabulary.size()));
  }
  REQUIRE(depth > 1000);
  while (matcher.accept(0)) ++depth;
  REQUIRE(depth <= 1100);
  REQUIRE(matcher.accept(3));
  for (; depth > 0; --depth) REQUIRE(matcher.accept(2));
  REQUIRE(matcher.is_complete());
}

TEST_CASE("an ambiguous grammar is followed to its limits, and beyond them no further",
          "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  // After n times `a` it stands in 2^n places, all at one node.
  Matcher matcher = matcher_of(
      "root ::= s\ns ::= \"a\" l \"c\" | \"a\" r \"b\" | \"d\"\nl ::= s | \"d\" \"d\"\nr ::= s",
      vocabulary);
  for (int depth = 0; depth < 9; ++depth) {
    REQUIRE(allowed(matcher) == accepted(matcher, vocabulary.size()));
    REQUIRE(matcher.accept(0));
  }
  for (int depth = 9; depth < 40; ++depth) {
    REQUIRE_FALSE(allowed(matcher).empty());
    REQUIRE(matcher.accept(0));
  }
  REQUIRE(matcher.accept(3));
  for (int depth = 40; depth > 31; --depth) REQUIRE((matcher.accept(2) || matcher.accept(1)));
}

TEST_CASE("a token that is refused changes nothing", "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  Matcher matcher = matcher_of(R"(root ::= "ab" ("c" root)?)", vocabulary);
  const auto before = allowed(matcher);
  for (int32_t id = -2; id < vocabulary.size() + 2; ++id) {
    if (!std::binary_search(before.begin(), before.end(), id)) REQUIRE_FALSE(matcher.accept(id));
  }
  REQUIRE(allowed(matcher) == before);
}

TEST_CASE("a copy goes its own way", "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  Matcher one = matcher_of(R"(root ::= "a" root "b" | "c" root "d" | "b")", vocabulary);
  REQUIRE(one.accept(0));
  Matcher two = one;
  REQUIRE(two.accept(2));
  REQUIRE(two.accept(1));
  REQUIRE(two.accept(3));
  REQUIRE(one.accept(1));
  REQUIRE_FALSE(one.accept(3));
  REQUIRE(one.accept(1));
  REQUIRE(one.is_complete());
  REQUIRE_FALSE(two.is_complete());
}

TEST_CASE("the end of a turn is allowed exactly when the grammar is complete",
          "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  const int32_t stop = vocabulary.stops()[0];
  Matcher matcher = matcher_of(R"(root ::= "a" "b"*)", vocabulary);
  REQUIRE_FALSE(matcher.accept(stop));
  REQUIRE(matcher.accept(0));
  REQUIRE(Matcher(matcher).accept(stop));
  REQUIRE(matcher.accept(1));
  REQUIRE(matcher.accept(stop));
  REQUIRE(matcher.is_ended());
  REQUIRE_FALSE(matcher.accept(1));
  REQUIRE(allowed(matcher).empty());
}

TEST_CASE("control tokens come only where a rule names them", "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  const int32_t call = *vocabulary.control_id("<call>");
  Matcher free = matcher_of("root ::= .*", vocabulary);
  REQUIRE_FALSE(free.accept(call));
  Matcher named = matcher_of(R"(root ::= <call> "a" <[19]>)", vocabulary);
  REQUIRE(allowed(named) == std::vector<int32_t>{call});
  REQUIRE(named.accept(call));
  REQUIRE(named.accept(0));
  REQUIRE(named.accept(19));
  REQUIRE(named.is_complete());
}

TEST_CASE("grammars that cannot be served are refused by name", "[engine][grammar]") {
  const GrammarVocabulary vocabulary = small_vocabulary();
  const auto reason = [&](const std::string& ebnf) -> std::string {
    try {
      matcher_of(ebnf, vocabulary);
    } catch (const GrammarRefused& refused) {
      return refused.what();
    }
    return "";
  };
  REQUIRE_THAT(reason(R"(root ::= root "a" | "b")"), Catch::Contains("left recursion"));
  REQUIRE_THAT(reason("root ::= x root | \"b\"\nx ::= \"a\"?"), Catch::Contains("left recursion"));
  REQUIRE_THAT(reason(R"(root ::= "a" root)"), Catch::Contains("nothing can match"));
  REQUIRE_THAT(reason("root ::= \"a\" x\nx ::= \"b\" x"), Catch::Contains("nothing can match"));
  REQUIRE_THAT(reason(R"(root ::= ("a"{1000}){1000})"), Catch::Contains("too many states"));
  REQUIRE(reason("root ::= x*\nx ::= \"a\"*") == "");
}

TEST_CASE("many nodes that look alike within a token share their masks", "[engine][grammar]") {
  std::vector<Entry> entries;
  for (int c = 0; c < 256; ++c) entries.push_back({std::string(1, static_cast<char>(c)), false});
  for (int i = 0; i < 30000; ++i) {
    std::string text;
    for (int k = i; k > 0; k /= 26) text.push_back(static_cast<char>('a' + k % 26));
    entries.push_back({text + "x", false});
  }
  entries.push_back({"<stop>", true});
  const GrammarVocabulary vocabulary(entries, {static_cast<int32_t>(entries.size()) - 1});
  const auto grammar =
      Grammar::compile(read_ebnf("root ::= [a-z]{10,200}", vocabulary), vocabulary);
  Matcher matcher(grammar);
  std::vector<uint32_t> mask(matcher.n_words());
  for (int i = 0; i < 200; ++i) {
    INFO(i);
    matcher.allowed(mask);
    if (i % 20 == 0 || i > 185) REQUIRE(bits(mask) == accepted(matcher, vocabulary.size()));
    REQUIRE(matcher.accept('q'));
  }
  REQUIRE(matcher.is_complete());
  REQUIRE(allowed(matcher) == vocabulary.stops());
}

}  // namespace lapidary
