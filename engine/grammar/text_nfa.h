// A set of strings while a pattern is read: states with arcs over code points and arcs over
// nothing, made deterministic at the end. Used by the thread that compiles.
// `^` and `$` are arcs over two marks that stand before and behind every string.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/grammar/char_set.h"
#include "engine/grammar/text_automaton.h"

namespace lapidary {

class TextNfa {
 public:
  static constexpr char32_t kBeginMark = 0x110000;
  static constexpr char32_t kEndMark = 0x110001;
  static constexpr size_t kMaxStates = 60000;

  uint32_t add_state();
  void add_arc(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  void add_set(uint32_t from, const CharSet& set, uint32_t to);
  void add_skip(uint32_t from, uint32_t to) { states_[from].skips.push_back(to); }

  // What lies between the marks on the ways from `start` to `end`.
  TextAutomaton determinized(uint32_t start, uint32_t end) const;

 private:
  static constexpr size_t kMaxWork = 600000;  // states looked at while making it deterministic
  friend class TextSubsets;
  struct State {
    std::vector<TextArc> arcs;
    std::vector<uint32_t> skips;
  };
  std::vector<State> states_;
};

}  // namespace lapidary
