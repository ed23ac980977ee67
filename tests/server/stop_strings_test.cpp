#include "server/dialect/stop_strings.h"

#include <random>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace lapidary {
namespace {

struct Streamed {
  std::string text;
  std::optional<size_t> found;
  int64_t n_tokens = 0;
};

Streamed stream(const StopOptions& options, const std::vector<std::string>& tokens) {
  StopMatcher matcher(options);
  Streamed streamed;
  for (const std::string& token : tokens) streamed.text += matcher.push(token);
  streamed.text += matcher.finish();
  streamed.found = matcher.found();
  streamed.n_tokens = matcher.n_tokens();
  return streamed;
}

// The oracle: of all ends of a stop string the first, there the longest string.
Streamed search(const StopOptions& options, const std::vector<std::string>& tokens) {
  std::string text;
  int64_t n_tokens = 0;
  for (const std::string& token : tokens) {
    ++n_tokens;
    for (const char byte : token) {
      text += byte;
      std::optional<size_t> best;
      for (size_t i = 0; i < options.strings.size(); ++i) {
        const std::string& stop = options.strings[i];
        if (text.ends_with(stop) && (!best || stop.size() > options.strings[*best].size())) {
          best = i;
        }
      }
      if (!best || n_tokens <= options.min_tokens) continue;
      if (!options.include_in_output) text.resize(text.size() - options.strings[*best].size());
      return {text, best, n_tokens};
    }
  }
  return {text, std::nullopt, n_tokens};
}

TEST_CASE("without stop strings every token goes straight through", "[server]") {
  StopMatcher matcher({});
  CHECK(matcher.push("abc") == "abc");
  CHECK(matcher.push("") == "");
  CHECK(matcher.finish() == "");
  CHECK(matcher.n_tokens() == 2);
}

TEST_CASE("finds a stop string across tokens and counts them", "[server]") {
  const StopOptions options = {.strings = {"END"}};
  const Streamed streamed = stream(options, {"a", "xE", "", "N", "D tail", "more"});
  CHECK(streamed.text == "ax");
  CHECK(streamed.found == 0);
  CHECK(streamed.n_tokens == 5);
}

TEST_CASE("keeps the stop string when asked, and nothing behind it", "[server]") {
  const StopOptions options = {.strings = {"\n\n"}, .include_in_output = true};
  CHECK(stream(options, {"a\n", "\nb"}).text == "a\n\n");
}

TEST_CASE("holds back only what may still become a stop string", "[server]") {
  StopMatcher matcher({.strings = {"aab"}});
  CHECK(matcher.push("xa") == "x");
  CHECK(matcher.push("a") == "");
  CHECK(matcher.push("a") == "a");
  CHECK(matcher.push("c") == "aac");
  CHECK(matcher.push("aa") == "");
  CHECK(matcher.finish() == "aa");
  CHECK_FALSE(matcher.stopped());
}

TEST_CASE("the string that ends first wins, then the longest", "[server]") {
  CHECK(stream({.strings = {"abcd", "bc"}}, {"xabcd"}).text == "xa");
  CHECK(stream({.strings = {"c", "bc", "abc"}}, {"xab", "cd"}).text == "x");
  CHECK(stream({.strings = {"c", "bc", "abc"}}, {"xab", "cd"}).found == 2);
}

TEST_CASE("a stop string within the first min_tokens is ignored", "[server]") {
  const StopOptions options = {.strings = {"ab"}, .min_tokens = 2};
  CHECK(stream(options, {"ab", "ab", "abc"}).text == "abab");
  CHECK(stream(options, {"ab", "a", "b"}).text == "ab");
  CHECK(stream(options, {"ab", "c"}).text == "abc");
}

TEST_CASE("nothing is taken or sent once stopped", "[server]") {
  StopMatcher matcher({.strings = {"."}});
  CHECK(matcher.push("a.b") == "a");
  CHECK(matcher.push("c") == "");
  CHECK(matcher.finish() == "");
  CHECK(matcher.n_tokens() == 1);
}

TEST_CASE("text that comes at the end is searched and is no token", "[server]") {
  StopMatcher found({.strings = {"x\ufffd"}});
  CHECK(found.push("ax") == "a");
  CHECK(found.finish("\ufffd").empty());
  CHECK(found.stopped());
  CHECK(found.n_tokens() == 1);
  StopMatcher missed({.strings = {"xy"}});
  CHECK(missed.push("ax") == "a");
  CHECK(missed.finish("\ufffd") == "x\ufffd");
}

TEST_CASE("never sends half a character", "[server]") {
  StopMatcher matcher({.strings = {"\u00e9t\u00e9"}});
  CHECK(matcher.push("\u00e9t\u00e8") == "\u00e9t\u00e8");
}

TEST_CASE("random texts stop where the oracle says, however they are cut", "[server]") {
  std::mt19937 random(11);
  // Two letters make strings that overlap themselves at several lengths.
  const auto text = [&random](unsigned max_length) {
    std::string made;
    for (auto n = random() % max_length; n > 0; --n) made += "aaab"[random() % 4];
    return made;
  };
  size_t n_stopped = 0;
  for (int round = 0; round < 20000; ++round) {
    StopOptions options;
    for (auto n = random() % 4; n > 0; --n)
      options.strings.push_back(text(10) + "b\nc"[random() % 3]);
    options.include_in_output = random() % 2 == 0;
    options.min_tokens = random() % 3 == 0 ? random() % 6 : 0;
    // Beginnings of the stop strings, one after the other, are what a matcher trips over.
    std::vector<std::string> tokens;
    for (auto n = random() % 40; n > 0; --n) {
      const bool plain = options.strings.empty() || random() % 2 == 0;
      const std::string from = plain ? text(5) : options.strings[random() % options.strings.size()];
      tokens.push_back(plain ? from : from.substr(0, random() % from.size()));
    }
    const Streamed streamed = stream(options, tokens);
    const Streamed expected = search(options, tokens);
    REQUIRE(streamed.text == expected.text);
    REQUIRE(streamed.found == expected.found);
    REQUIRE(streamed.n_tokens == expected.n_tokens);
    n_stopped += streamed.found ? 1 : 0;
  }
  CHECK(n_stopped > 1000);
}

}  // namespace
}  // namespace lapidary
