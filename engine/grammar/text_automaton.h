// Sets of strings as deterministic automata over code points, closed under "and", "not" and bounds
// on the length: what schemas say about strings and keys. A value; used by the thread that
// compiles. Surrogates belong to no string. both() and of_length() refuse, with GrammarRefused,
// more than kMaxStates or kMaxArcs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar_refused.h"

namespace lapidary {

struct TextArc {
  char32_t lo = 0, hi = 0;  // both belong to the range
  uint32_t target = 0;
};

class TextAutomaton {
 public:
  struct State {
    bool accepts = false;
    std::vector<TextArc> arcs;  // disjoint, ascending
  };
  static constexpr size_t kMaxStates = 12000;
  static constexpr size_t kMaxArcs = 50000;
  static constexpr char32_t kLastCodePoint = 0x10FFFF;

  static TextAutomaton any();
  static TextAutomaton of_words(const std::vector<std::string>& words);  // UTF-8
  // State 0 is the start.
  explicit TextAutomaton(std::vector<State> states) : states_(std::move(states)) { trim(); }

  TextAutomaton both(const TextAutomaton& other) const;
  TextAutomaton negated() const;
  // Code points; no `max`: any length.
  TextAutomaton of_length(size_t min, std::optional<size_t> max) const;

  std::optional<size_t> longest() const;  // code points; no value: there is no longest

  bool is_empty() const { return states_.empty(); }
  bool is_any() const;
  bool matches(std::string_view utf8) const;
  const std::vector<State>& states() const { return states_; }

 private:
  void trim();

  std::vector<State> states_;  // none: nothing matches
};

// Code points of UTF-8 text; nothing when it is not valid.
std::optional<std::u32string> code_points(std::string_view utf8);

}  // namespace lapidary
