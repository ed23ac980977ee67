// A fingerprint of all that an automaton's node can match within the length of the longest token:
// nodes with equal signatures have equal masks, in one grammar or in two. That is what lets the
// inside of a string be worked out once for all schemas. 128 bits from a secret start, so that no
// client can make two different nodes look alike.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar_vocabulary.h"

namespace lapidary {

class SignatureReader {
 public:
  // `depth`: how many bytes ahead count.
  SignatureReader(const Automaton& automaton, NodeSignature secret, uint32_t depth)
      : automaton_(automaton), secret_(secret), depth_(depth) {}

  // Nothing for a node with too much within reach: its mask is then worked out anew.
  std::optional<NodeSignature> read(uint32_t node);
  size_t bytes() const { return known_.size() * kBytesKnown; }

 private:
  NodeSignature of(uint32_t node, uint32_t depth);
  static constexpr size_t kBytesKnown = 48;  // an element, its link and its share of the table

  const Automaton& automaton_;
  const NodeSignature secret_;
  const uint32_t depth_;
  std::unordered_map<uint64_t, NodeSignature> known_;  // by node and depth
  uint32_t n_nested_ = 0;
  bool is_too_large_ = false;
};

}  // namespace lapidary
