// Writes sets of code points and of strings into a rule's graph as the bytes that spell them: as
// they are, or as the inside of a JSON string. Used by the thread that compiles.
//
// JSON: one spelling for each character, itself but for `"` `\` and \b \f \n \r \t. Other control
// characters are spelled \u00xx where a set names one by itself, and left out where they are only
// part of a range: a narrower set, so still a valid one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/grammar/char_set.h"
#include "engine/grammar/rule_graph.h"
#include "engine/grammar/text_automaton.h"

namespace lapidary {

enum class TextSpelling { kRaw, kJson };

class TextWriter {
 public:
  explicit TextWriter(RuleGraph& graph, TextSpelling spelling = TextSpelling::kRaw)
      : graph_(graph), spelling_(spelling) {}

  void add_range(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  void add_set(uint32_t from, const CharSet& set, uint32_t to);
  // Every string of `text` leads from `from` to `to`.
  void add_text(uint32_t from, const TextAutomaton& text, uint32_t to);

 private:
  struct ByteRange {
    uint8_t lo = 0, hi = 0;
    friend auto operator<=>(const ByteRange&, const ByteRange&) = default;
  };
  using Sequence = std::vector<ByteRange>;

  void add_utf8(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  void add_equal_length(uint32_t from, char32_t lo, char32_t hi, size_t n, uint32_t to);
  void add_sequence(uint32_t from, const Sequence& sequence, uint32_t to);
  void add_json(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  uint32_t escape_of(uint32_t from);

  RuleGraph& graph_;
  const TextSpelling spelling_;
  // What leads to a state by the rest of a character is shared by all that come to it.
  std::map<std::pair<uint32_t, Sequence>, uint32_t> rests_;
  std::map<uint32_t, uint32_t> escapes_;  // the state behind a backslash
};

}  // namespace lapidary
