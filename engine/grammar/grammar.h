// A compiled grammar: the automaton, and which tokens each of its nodes allows, worked out when a
// node is first stood on (the costly ones while compiling) and kept. Shared by the matchers of many
// requests; every member may be called from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar_vocabulary.h"
#include "engine/grammar/signature.h"
#include "engine/grammar/stacks.h"
#include "engine/grammar/trie_walker.h"

namespace lapidary {

class Grammar {
 public:
  // Throws GrammarRefused. The vocabulary must outlive the grammar.
  static std::shared_ptr<const Grammar> compile(const GrammarSource& source,
                                                const GrammarVocabulary& vocabulary);

  const GrammarVocabulary& vocabulary() const { return vocabulary_; }
  const Automaton& automaton() const { return automaton_; }

  // Sets in `mask` ([n_words], cleared by this) each token that can follow `configs`; the tokens
  // that end an answer not among them.
  void allow(std::span<const Config> configs, Stacks& stacks, std::span<uint32_t> mask) const;

  // What it holds now; its masks grow while it is used.
  size_t bytes() const;

  // Of this grammar alone; what would go beyond is worked out at each use.
  static constexpr size_t kMaxMaskBytes = size_t{64} << 20;

  Grammar(Automaton automaton, const GrammarVocabulary& vocabulary);

 private:
  std::shared_ptr<const NodeMask> mask_of(uint32_t node) const;
  std::shared_ptr<const NodeMask> make_mask(uint32_t node) const;
  void work_ahead() const;
  void allow_node(std::span<const Config> configs, Stacks& stacks, std::span<uint32_t> mask) const;

  const Automaton automaton_;
  const GrammarVocabulary& vocabulary_;
  mutable std::mutex mutex_;  // guards all below
  mutable TrieWalker walker_;
  mutable Stepper stepper_;
  mutable SignatureReader signatures_;
  mutable std::vector<std::shared_ptr<const NodeMask>> masks_;  // by node; null: not yet made
  mutable size_t mask_bytes_ = 0;
  mutable TrieWalker::Found found_;
  mutable std::vector<Config> returned_, below_;
};

}  // namespace lapidary
