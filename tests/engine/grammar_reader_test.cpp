// Regular expressions, EBNF and choices: what they accept, what they refuse by name.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/grammar/ebnf_reader.h"
#include "engine/grammar/matcher.h"
#include "engine/grammar/regex_reader.h"
#include "engine/grammar/text_sources.h"
#include "tests/catch.h"

namespace lapidary {
namespace {

GrammarVocabulary byte_vocabulary() {
  std::vector<GrammarVocabulary::Entry> entries;
  for (int c = 0; c < 256; ++c) entries.push_back({std::string(1, static_cast<char>(c)), false});
  entries.push_back({"<stop>", true});
  return GrammarVocabulary(entries, {256});
}

bool takes(const GrammarSource& source, const std::string& text) {
  static const GrammarVocabulary vocabulary = byte_vocabulary();
  Matcher matcher(Grammar::compile(source, vocabulary));
  for (const char c : text) {
    if (!matcher.accept(static_cast<uint8_t>(c))) return false;
  }
  return matcher.is_complete();
}

bool finds(const std::string& pattern, const std::string& text) {
  const TextAutomaton automaton = read_regex(pattern, RegexUse::kSearch);
  const bool matches = automaton.matches(text);
  // What is written as bytes is the same language.
  if (!automaton.is_empty()) REQUIRE(takes(text_source(automaton), text) == matches);
  return matches;
}

bool is_whole(const std::string& pattern, const std::string& text) {
  return read_regex(pattern, RegexUse::kWhole).matches(text);
}

std::string refusal(const std::string& pattern) {
  try {
    read_regex(pattern, RegexUse::kSearch);
  } catch (const GrammarRefused& refused) {
    return refused.what();
  }
  return "";
}

bool ebnf_takes(const std::string& ebnf, const std::string& text) {
  static const GrammarVocabulary vocabulary = byte_vocabulary();
  return takes(read_ebnf(ebnf, vocabulary), text);
}

std::string ebnf_refusal(const std::string& ebnf) {
  static const GrammarVocabulary vocabulary = byte_vocabulary();
  try {
    read_ebnf(ebnf, vocabulary);
  } catch (const GrammarRefused& refused) {
    return refused.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the longest string of a pattern, where there is one", "[engine][grammar]") {
  const std::vector<std::pair<std::string, std::optional<size_t>>> cases = {
      {"", 0},           {"a", 1},
      {"a|bcd", 3},      {"(ab|c)d{2}", 4},
      {"a*", {}},        {"ab?(cd)?e", 5},
      {"(a|b){0,7}", 7}, {"x(a|bb)*", {}},
      {"\\u00e9{3}", 3}, {"(ab){2}|a{3}b", 4}};
  for (const auto& [pattern, longest] : cases) {
    INFO(pattern);
    const TextAutomaton text = read_regex(pattern, RegexUse::kWhole);
    CHECK(text.longest() == longest);
    if (longest) CHECK(text.of_length(0, longest).longest() == longest);
    if (longest.value_or(2) > 1) CHECK(text.of_length(0, 1).longest().value_or(9) <= 1);
  }
  CHECK(TextAutomaton({}).longest() == 0);
  CHECK(TextAutomaton::any().of_length(2, 5).longest() == 5);
}

TEST_CASE("a pattern is searched for, a regex matches the whole", "[engine][grammar]") {
  REQUIRE(finds("b+", "abbc"));
  REQUIRE_FALSE(finds("b+", "acc"));
  REQUIRE(finds("^ab", "abc"));
  REQUIRE_FALSE(finds("^ab", "cab"));
  REQUIRE(finds("ab$", "cab"));
  REQUIRE_FALSE(finds("ab$", "abc"));
  REQUIRE(finds("^$", ""));
  REQUIRE_FALSE(finds("^$", "a"));
  REQUIRE(finds("(^|,)a(,|$)", "b,a"));
  REQUIRE_FALSE(finds("(^|,)a(,|$)", "ba"));
  REQUIRE(finds("", "anything"));
  REQUIRE(is_whole("ab|cd", "cd"));
  REQUIRE(is_whole("^(ab|cd)$", "cd"));
  REQUIRE_FALSE(is_whole("b", "abc"));
}

TEST_CASE("every form of the subset means what ECMAScript says", "[engine][grammar]") {
  struct Case {
    const char *pattern, *yes, *no;
  };
  for (const Case& c : std::vector<Case>{{"^a*$", "aaa", "ab"},
                                         {"^a+$", "a", ""},
                                         {"^a?$", "", "aa"},
                                         {"^a{2}$", "aa", "a"},
                                         {"^a{2,}$", "aaaa", "a"},
                                         {"^a{2,3}$", "aaa", "aaaa"},
                                         {"^a{0}b$", "b", "ab"},
                                         {"^a*?b+?$", "ab", "a"},
                                         {"^(?:ab)+$", "abab", "aba"},
                                         {"^(?<year>\\d{4})$", "2024", "20x4"},
                                         {"^[a-c-]+$", "a-c", "d"},
                                         {"^[^a-c]$", "\xC3\xA9", "b"},
                                         {"^[\\]\\\\]$", "]", "["},
                                         {"^\\w+\\s\\W$", "a_9 -", "a b"},
                                         {"^\\S\\D$", "xx", "x1"},
                                         {"^.$", "\xF0\x9F\xA6\x99", "\n"},
                                         {"^\\x41\\u0042\\u{43}\\t$", "ABC\t", "ABCt"},
                                         {"^\\ud83e\\udd99$", "\xF0\x9F\xA6\x99", "a"},
                                         {"^a\\.b\\/$", "a.b/", "acb/"},
                                         {"^[\\b]\\cJ$", "\b\n", "bJ"},
                                         {"^(a|b)*c$", "abac", "abab"},
                                         {"^((a{1,2}){2}){2}$", "aaaaaaaa", "aaa"}}) {
    INFO(c.pattern);
    REQUIRE(finds(c.pattern, c.yes));
    REQUIRE_FALSE(finds(c.pattern, c.no));
  }
}

TEST_CASE("what is outside the subset is refused by name", "[engine][grammar]") {
  REQUIRE_THAT(refusal("(?=a)"), Catch::Contains("lookaround"));
  REQUIRE_THAT(refusal("(?<!a)b"), Catch::Contains("lookaround"));
  REQUIRE_THAT(refusal("(a)\\1"), Catch::Contains("back references"));
  REQUIRE_THAT(refusal("(?<n>a)\\k<n>"), Catch::Contains("back references"));
  REQUIRE_THAT(refusal("\\bword"), Catch::Contains("\\b"));
  REQUIRE_THAT(refusal("\\p{L}"), Catch::Contains("\\p"));
  REQUIRE_THAT(refusal("a++"), Catch::Contains("possessive"));
  REQUIRE_THAT(refusal("(?i)a"), Catch::Contains("inline flags"));
  REQUIRE_THAT(refusal("[[:alpha:]]"), Catch::Contains("POSIX"));
  REQUIRE_THAT(refusal("a{1001}"), Catch::Contains("above 1000"));
  for (const char* broken : {"(", ")", "[", "a{2", "*a", "a**", "\\", "[b-a]", "a{3,2}", "\\q",
                             "(?<n", "\\xZ1", "\\u{110000}", "\\ud800", "\xFF"}) {
    INFO(broken);
    REQUIRE_FALSE(refusal(broken).empty());
  }
}

TEST_CASE("patterns that explode are refused, not worked out", "[engine][grammar]") {
  REQUIRE_THAT(refusal(std::string(200, '(') + std::string(200, ')')), Catch::Contains("nested"));
  REQUIRE_THAT(refusal("(((a{1000}){1000}){1000})"), Catch::Contains("too complex"));
  REQUIRE_THAT(refusal("(a|b)*a(a|b){100}"), Catch::Contains("too complex"));
  REQUIRE(refusal("(a+)+$") == "");
  REQUIRE(finds("^(a+)+$", std::string(50, 'a')));
}

TEST_CASE("sets of strings can be joined, turned round and cut to length", "[engine][grammar]") {
  const TextAutomaton word = read_regex("^[a-z]+$", RegexUse::kSearch);
  const TextAutomaton no_end = TextAutomaton::of_words({"end", "e\xC3\xA9"}).negated();
  const TextAutomaton both = word.both(no_end).of_length(2, 5);
  REQUIRE(both.matches("en"));
  REQUIRE(both.matches("ends"));
  REQUIRE_FALSE(both.matches("end"));
  REQUIRE_FALSE(both.matches("e"));
  REQUIRE_FALSE(both.matches("endless"));
  REQUIRE(
      no_end.matches("e\xC3"
                     "\xA9\xC3\xA9"));
  REQUIRE_FALSE(no_end.matches("e\xC3\xA9"));
  REQUIRE(word.both(word.negated()).is_empty());
  REQUIRE(TextAutomaton::any().negated().is_empty());
  REQUIRE(TextAutomaton::any().of_length(1, 1).matches("\xF0\x9F\xA6\x99"));
  REQUIRE_FALSE(TextAutomaton::any().of_length(3, 2).matches("aa"));
}

TEST_CASE("EBNF in all its forms", "[engine][grammar]") {
  const std::string arithmetic =
      "# sums\nroot ::= term (\n  [-+] term\n)*\nterm ::= num | \"(\" root \")\"  # in brackets\n"
      "num ::= [0-9]{1,3}\n";
  REQUIRE(ebnf_takes(arithmetic, "1+(22-3)+456"));
  REQUIRE_FALSE(ebnf_takes(arithmetic, "1+(22-3"));
  REQUIRE_FALSE(ebnf_takes(arithmetic, "1234"));
  REQUIRE(ebnf_takes("root ::= \"\\x41\\u00e9\\U0001F999\\n\\\"\" [^\\]\\\\] .",
                     "A\xC3\xA9\xF0\x9F\xA6\x99\n\"xy"));
  REQUIRE(ebnf_takes("root ::= a |\n b\na ::= \"a\"?\nb ::= \"b\"{2,}", "bbb"));
  REQUIRE(ebnf_takes("root ::= a |\n b\na ::= \"a\"?\nb ::= \"b\"{2,}", ""));
  REQUIRE_FALSE(ebnf_takes("root ::= a |\n b\na ::= \"a\"?\nb ::= \"b\"{2,}", "b"));
}

TEST_CASE("EBNF that is wrong is refused with its line", "[engine][grammar]") {
  REQUIRE_THAT(ebnf_refusal("root ::= x"), Catch::Contains("rule `x` is used but not given"));
  REQUIRE_THAT(ebnf_refusal("a ::= \"a\""), Catch::Contains("no rule `root`"));
  REQUIRE_THAT(ebnf_refusal("root ::= \"a\"\nroot ::= \"b\""), Catch::Contains("line 2"));
  REQUIRE_THAT(ebnf_refusal("root ::= <nothing>"), Catch::Contains("no control token"));
  REQUIRE_THAT(ebnf_refusal("root ::= <stop>"), Catch::Contains("ends an answer"));
  REQUIRE_THAT(ebnf_refusal("root ::= !<[1]>"), Catch::Contains("negation"));
  for (const char* broken : {"root", "root ::= (", "root ::= \"a", "root ::= [a",
                             "root ::= \"a\"{2", "root ::= ]", "root := \"a\"", "root ::= \"\\q\"",
                             "root ::= [b-a]", "root ::= \"a\" )", "root ::= \"\\ud800\"", ""}) {
    INFO(broken);
    REQUIRE_FALSE(ebnf_refusal(broken).empty());
  }
  REQUIRE_THAT(ebnf_refusal("root ::= " + std::string(100000, '(')), Catch::Contains("too long"));
  REQUIRE_THAT(ebnf_refusal("root ::= " + std::string(60000, '(')), Catch::Contains("nested"));
}

TEST_CASE("a choice is one of its texts, and whole", "[engine][grammar]") {
  const GrammarSource source = choice_source({"yes", "no", "yes, but", "\xC3\xA9t\xC3\xA9"});
  for (const char* text : {"yes", "no", "yes, but", "\xC3\xA9t\xC3\xA9"})
    REQUIRE(takes(source, text));
  for (const char* text : {"", "y", "yes,", "nono"}) REQUIRE_FALSE(takes(source, text));
  REQUIRE_THROWS_AS(choice_source({}), GrammarRefused);
}

}  // namespace lapidary
