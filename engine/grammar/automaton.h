// A grammar as a pushdown automaton over bytes: nodes with disjoint byte ranges, special tokens,
// and calls of rules. Immutable; read by any thread.
// build_automaton refuses (GrammarRefused): left recursion, a grammar that nothing can match, and
// what goes beyond GrammarLimits.
//
// Invariants:
// 1. The byte ranges of a node are disjoint and ascending.
// 2. From every node that can be reached some text leads to the end of its rule: no dead ends.
// 3. The entry of a rule does not accept: a call always consumes something.
// 4. No rule can reach a call of itself without consuming something.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/grammar/rule_graph.h"

namespace lapidary {

struct ByteEdge {
  uint8_t lo = 0, hi = 0;
  uint32_t target = 0;
};

// A call of a rule, or one special token.
struct OtherEdge {
  bool is_call = false;
  bool returns_at_once = false;  // nothing follows the call in its rule: no frame is needed
  uint32_t operand = 0;          // rule or token id
  uint32_t target = 0;
};

class Automaton {
 public:
  struct Node {
    uint32_t bytes_begin = 0, bytes_end = 0;
    uint32_t others_begin = 0, others_end = 0;
    bool accepts = false;
  };

  size_t size() const { return nodes_.size(); }
  size_t bytes() const {
    return nodes_.size() * sizeof(Node) + byte_edges_.size() * sizeof(ByteEdge) +
           other_edges_.size() * sizeof(OtherEdge) + entries_.size() * sizeof(uint32_t);
  }
  bool accepts(uint32_t node) const { return nodes_[node].accepts; }
  // Neither calls nor tokens nor an end of the rule: only a byte leads on.
  bool is_plain(uint32_t node) const {
    return !nodes_[node].accepts && nodes_[node].others_begin == nodes_[node].others_end;
  }
  std::span<const ByteEdge> bytes(uint32_t node) const {
    return {byte_edges_.data() + nodes_[node].bytes_begin,
            byte_edges_.data() + nodes_[node].bytes_end};
  }
  std::span<const OtherEdge> others(uint32_t node) const {
    return {other_edges_.data() + nodes_[node].others_begin,
            other_edges_.data() + nodes_[node].others_end};
  }
  uint32_t entry(uint32_t rule) const { return entries_[rule]; }
  // Where the root rule begins; accepts when the grammar matches the empty text.
  uint32_t start() const { return start_; }
  // The most frames that a single byte can push.
  uint32_t max_pushes() const { return max_pushes_; }

  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t step(uint32_t node, uint8_t byte) const {
    for (const ByteEdge& edge : bytes(node)) {
      if (byte <= edge.hi) return byte >= edge.lo ? edge.target : kNone;
    }
    return kNone;
  }

 private:
  friend class AutomatonBuilder;

  std::vector<Node> nodes_;
  std::vector<ByteEdge> byte_edges_;
  std::vector<OtherEdge> other_edges_;
  std::vector<uint32_t> entries_;
  uint32_t start_ = 0;
  uint32_t max_pushes_ = 0;
};

Automaton build_automaton(const GrammarSource& source);

}  // namespace lapidary
