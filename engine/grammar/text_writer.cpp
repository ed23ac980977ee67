#include "engine/grammar/text_writer.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace lapidary {
namespace {

struct Named {
  char32_t code_point;
  char letter;
};
constexpr Named kNamed[] = {{'\b', 'b'}, {'\t', 't'}, {'\n', 'n'}, {'\f', 'f'},
                            {'\r', 'r'}, {'"', '"'},  {'\\', '\\'}};

size_t utf8_length(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

std::array<uint8_t, 4> utf8_bytes(char32_t c, size_t n) {
  if (n == 1) return {static_cast<uint8_t>(c)};
  std::array<uint8_t, 4> bytes{};
  for (size_t i = n - 1; i > 0; --i) {
    bytes[i] = static_cast<uint8_t>(0x80U | (c & 0x3FU));
    c >>= 6;
  }
  bytes[0] = static_cast<uint8_t>((0xF00U >> n) | c);
  return bytes;
}

}  // namespace

void TextWriter::add_range(uint32_t from, char32_t lo, char32_t hi, uint32_t to) {
  if (spelling_ == TextSpelling::kJson) {
    add_json(from, lo, hi, to);
  } else {
    add_utf8(from, lo, hi, to);
  }
}

void TextWriter::add_set(uint32_t from, const CharSet& set, uint32_t to) {
  for (const auto& [lo, hi] : set.ranges()) add_range(from, lo, hi, to);
}

void TextWriter::add_text(uint32_t from, const TextAutomaton& text, uint32_t to) {
  if (text.is_empty()) return;
  std::vector<uint32_t> states;
  for (size_t i = 0; i < text.states().size(); ++i) states.push_back(graph_.add_state());
  graph_.add_skip(from, states[0]);
  for (size_t i = 0; i < states.size(); ++i) {
    const TextAutomaton::State& state = text.states()[i];
    for (const TextArc& arc : state.arcs) add_range(states[i], arc.lo, arc.hi, states[arc.target]);
    if (state.accepts) graph_.add_skip(states[i], to);
  }
}

void TextWriter::add_utf8(uint32_t from, char32_t lo, char32_t hi, uint32_t to) {
  while (lo <= hi) {
    const size_t n = utf8_length(lo);
    constexpr char32_t kLast[] = {0, 0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    const char32_t end = std::min(hi, kLast[n]);
    add_equal_length(from, lo, end, n, to);
    lo = end + 1;
  }
}

// Cut until all bytes behind the first that differs run over their whole range.
void TextWriter::add_equal_length(uint32_t from, char32_t lo, char32_t hi, size_t n, uint32_t to) {
  for (size_t i = 1; i < n; ++i) {
    const char32_t low_bits = (char32_t{1} << (6 * i)) - 1;
    if ((lo & ~low_bits) == (hi & ~low_bits)) continue;
    if ((lo & low_bits) != 0) {
      add_equal_length(from, lo, lo | low_bits, n, to);
      add_equal_length(from, (lo | low_bits) + 1, hi, n, to);
      return;
    }
    if ((hi & low_bits) != low_bits) {
      add_equal_length(from, lo, (hi & ~low_bits) - 1, n, to);
      add_equal_length(from, hi & ~low_bits, hi, n, to);
      return;
    }
  }
  const auto first = utf8_bytes(lo, n), last = utf8_bytes(hi, n);
  Sequence sequence;
  sequence.n = static_cast<uint8_t>(n);
  for (size_t i = 0; i < n; ++i) sequence.ranges[i] = {first[i], last[i]};
  add_sequence(from, sequence, to);
}

void TextWriter::add_sequence(uint32_t from, const Sequence& sequence, uint32_t to) {
  uint32_t next = to;
  Sequence rest;
  for (size_t i = sequence.n; i > 1; --i) {
    std::copy_backward(rest.ranges.begin(), rest.ranges.end() - 1, rest.ranges.end());
    rest.ranges[0] = sequence.ranges[i - 1];
    ++rest.n;
    const auto [at, is_new] = rests_.emplace(Rest{rest, to}, 0);
    if (is_new) {
      at->second = graph_.add_state();
      graph_.add_bytes(at->second, rest.ranges[0].lo, rest.ranges[0].hi, next);
    }
    next = at->second;
  }
  graph_.add_bytes(from, sequence.ranges[0].lo, sequence.ranges[0].hi, next);
}

uint32_t TextWriter::escape_of(uint32_t from) {
  const auto [at, is_new] = escapes_.emplace(from, 0);
  if (is_new) {
    at->second = graph_.add_state();
    graph_.add_bytes(from, '\\', '\\', at->second);
  }
  return at->second;
}

void TextWriter::add_json(uint32_t from, char32_t lo, char32_t hi, uint32_t to) {
  for (const Named& named : kNamed) {
    if (lo > named.code_point || hi < named.code_point) continue;
    const auto letter = static_cast<uint8_t>(named.letter);
    graph_.add_bytes(escape_of(from), letter, letter, to);
  }
  const bool is_named = std::any_of(std::begin(kNamed), std::end(kNamed),
                                    [&](const Named& n) { return n.code_point == lo; });
  if (lo == hi && lo < 0x20 && !is_named) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const std::string_view text = lo < 0x10 ? "u000" : "u001";
    const uint32_t last = graph_.add_literal(escape_of(from), text);
    const auto digit = static_cast<uint8_t>(kDigits[lo & 0xFU]);
    graph_.add_bytes(last, digit, digit, to);
  }
  constexpr CharSet::Range kPlain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}};
  for (const auto& [first, last] : kPlain) {
    const char32_t begin = std::max(lo, first), end = std::min(hi, last);
    if (begin <= end) add_utf8(from, begin, end, to);
  }
}

}  // namespace lapidary
