// A compiled grammar: the automaton, and which tokens each of its nodes allows, worked out ahead by
// a MaskMaker or when a node is first stood on, and kept. Shared by the matchers of many requests;
// every member may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar_vocabulary.h"
#include "engine/grammar/mask_table.h"
#include "engine/grammar/node_masker.h"
#include "engine/grammar/stacks.h"

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

  // Makes the masks of all nodes, those nearest to the start first, as long as `goes_on` says so.
  // Keeps no user of allow() waiting.
  void make_masks(const std::function<bool()>& goes_on) const;

  // What it holds now; its masks grow while it is used.
  size_t bytes() const;

  Grammar(Automaton automaton, const GrammarVocabulary& vocabulary);

 private:
  std::shared_ptr<const NodeMask> mask_of(uint32_t node, NodeMasker& masker) const;
  void allow_node(std::span<const Config> configs, Stacks& stacks, std::span<uint32_t> mask) const;

  const Automaton automaton_;
  const GrammarVocabulary& vocabulary_;
  mutable MaskTable masks_;
  mutable std::mutex mutex_;  // guards all below
  mutable NodeMasker masker_;
  mutable Stepper stepper_;
  mutable TrieWalker::Found found_;
  mutable std::vector<Config> returned_, below_;
};

}  // namespace lapidary
