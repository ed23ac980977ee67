// One rule's graph made deterministic: the subset construction, with calls and tokens as further
// symbols. Used by the thread that compiles. Refuses, with GrammarRefused, what takes more states
// or more work than GrammarLimits allow.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/grammar/automaton.h"

namespace lapidary {

struct DraftNode {
  std::vector<ByteEdge> bytes;
  std::vector<OtherEdge> others;
  bool accepts = false;
};

// What all rules of a grammar may take together.
struct SubsetBudget {
  size_t states_left = GrammarLimits::kMaxStates;
  size_t work_left = GrammarLimits::kMaxSubsetWork;
};

class SubsetBuilder {
 public:
  // is_nullable[rule]: calls of it may also be passed over.
  SubsetBuilder(const RuleGraph& graph, const std::vector<bool>& is_nullable,
                std::vector<DraftNode>& nodes, SubsetBudget& budget)
      : graph_(graph), is_nullable_(is_nullable), nodes_(nodes), budget_(budget) {}

  // Appends the rule's nodes; gives the first one.
  uint32_t build();

 private:
  using Subset = std::vector<uint32_t>;  // ascending

  uint32_t node_of(Subset states);
  void close(Subset& states);
  void fill(uint32_t node, const Subset& states);
  void fill_bytes(uint32_t node, const Subset& states);
  void fill_others(uint32_t node, const Subset& states);
  void spend(size_t work);

  const RuleGraph& graph_;
  const std::vector<bool>& is_nullable_;
  std::vector<DraftNode>& nodes_;
  SubsetBudget& budget_;
  std::map<Subset, uint32_t> node_of_subset_;
  std::vector<uint32_t> node_of_state_;  // of a subset of one
  std::vector<std::pair<uint32_t, Subset>> open_;
  std::vector<uint32_t> mark_;
  uint32_t n_marks_ = 0;
};

}  // namespace lapidary
