// Works out which tokens a node allows by itself. One thread at a time; holds scratch space only.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar_vocabulary.h"
#include "engine/grammar/signature.h"
#include "engine/grammar/trie_walker.h"

namespace lapidary {

class NodeMasker {
 public:
  // Both must outlive it.
  NodeMasker(const Automaton& automaton, const GrammarVocabulary& vocabulary);

  // The one that the vocabulary keeps for nodes that look alike, or a new one.
  std::shared_ptr<const NodeMask> make(uint32_t node);
  TrieWalker& walker() { return walker_; }
  size_t bytes() const { return walker_.bytes() + signatures_.bytes(); }

 private:
  const GrammarVocabulary& vocabulary_;
  TrieWalker walker_;
  SignatureReader signatures_;
};

// Sets the bit of each id.
void set_tokens(std::span<const int32_t> tokens, std::span<uint32_t> mask);

}  // namespace lapidary
