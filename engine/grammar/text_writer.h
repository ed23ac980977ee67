// Writes sets of code points and of strings into a rule's graph as the bytes that spell them: as
// they are, or as the inside of a JSON string. Used by the thread that compiles.
//
// JSON: one spelling for each character, itself but for `"` `\` and \b \f \n \r \t. Other control
// characters are spelled \u00xx where a set names one by itself, and left out where they are only
// part of a range: a narrower set, so still a valid one.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

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
  // The ranges of one character's bytes, or of its last ones.
  struct Sequence {
    std::array<ByteRange, 4> ranges{};
    uint8_t n = 0;
    friend bool operator==(const Sequence&, const Sequence&) = default;
  };
  struct Rest {
    Sequence sequence;
    uint32_t to = 0;
    friend bool operator==(const Rest&, const Rest&) = default;
  };
  struct RestHash {
    size_t operator()(const Rest& rest) const {
      uint64_t hash = rest.to;
      for (const ByteRange& range : rest.sequence.ranges) {
        hash = (hash ^ (uint64_t{range.lo} << 8 | range.hi)) * 0x9E3779B97F4A7C15U;
      }
      return static_cast<size_t>(hash ^ (hash >> 32));
    }
  };

  void add_utf8(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  void add_equal_length(uint32_t from, char32_t lo, char32_t hi, size_t n, uint32_t to);
  void add_sequence(uint32_t from, const Sequence& sequence, uint32_t to);
  void add_json(uint32_t from, char32_t lo, char32_t hi, uint32_t to);
  uint32_t escape_of(uint32_t from);

  RuleGraph& graph_;
  const TextSpelling spelling_;
  // What leads to a state by the rest of a character is shared by all that come to it.
  std::unordered_map<Rest, uint32_t, RestHash> rests_;
  std::unordered_map<uint32_t, uint32_t> escapes_;  // the state behind a backslash
};

}  // namespace lapidary
