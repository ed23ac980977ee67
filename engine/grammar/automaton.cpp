#include "engine/grammar/automaton.h"

#include <algorithm>

#include "engine/grammar/subset_builder.h"

namespace lapidary {

// The passes from a source to an automaton, in order; each leaves its result in the members.
class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const GrammarSource& source) : source_(source) {}

  Automaton build() {
    check_size();
    find_nullable();
    make_deterministic();
    find_productive();
    drop_dead_edges();
    check_left_recursion();
    return pack();
  }

 private:
  void check_size() const;
  void find_nullable();
  bool can_be_empty(const RuleGraph& graph) const;
  void make_deterministic();
  void find_productive();
  void drop_dead_edges();
  void check_left_recursion();
  Automaton pack();

  const GrammarSource& source_;
  std::vector<bool> nullable_;
  std::vector<DraftNode> nodes_;
  std::vector<uint32_t> starts_, entries_;  // of each rule
  std::vector<bool> productive_;
  uint32_t max_pushes_ = 0;
};

void AutomatonBuilder::check_size() const {
  size_t n_states = 0, n_edges = 0;
  for (const auto& rule : source_.rules) {
    n_states += rule.graph.size();
    n_edges += rule.graph.n_edges();
  }
  if (n_states > GrammarLimits::kMaxStates) throw GrammarRefused("too many states");
  if (n_edges > GrammarLimits::kMaxEdges) throw GrammarRefused("too many transitions");
}

bool AutomatonBuilder::can_be_empty(const RuleGraph& graph) const {
  std::vector<uint32_t> open = {RuleGraph::kStart};
  std::vector<bool> seen(graph.size());
  seen[RuleGraph::kStart] = true;
  while (!open.empty()) {
    const uint32_t state = open.back();
    open.pop_back();
    if (graph.is_final(state)) return true;
    for (const GraphEdge& edge : graph.edges(state)) {
      const bool skips = edge.kind == GraphEdge::Kind::kSkip ||
                         (edge.kind == GraphEdge::Kind::kCall && nullable_[edge.operand]);
      if (!skips || seen[edge.target]) continue;
      seen[edge.target] = true;
      open.push_back(edge.target);
    }
  }
  return false;
}

// A rule becomes nullable only after one that it calls did: callers are looked at again.
void AutomatonBuilder::find_nullable() {
  const size_t n_rules = source_.rules.size();
  nullable_.assign(n_rules, false);
  std::vector<std::vector<uint32_t>> callers(n_rules);
  std::vector<uint32_t> open;
  for (uint32_t rule = 0; rule < n_rules; ++rule) {
    const RuleGraph& graph = source_.rules[rule].graph;
    for (uint32_t state = 0; state < graph.size(); ++state) {
      for (const GraphEdge& edge : graph.edges(state)) {
        if (edge.kind != GraphEdge::Kind::kCall) continue;
        auto& of_callee = callers[edge.operand];
        if (of_callee.empty() || of_callee.back() != rule) of_callee.push_back(rule);
      }
    }
    open.push_back(rule);
  }
  size_t work = 0;
  while (!open.empty()) {
    const uint32_t rule = open.back();
    open.pop_back();
    if (nullable_[rule] || !can_be_empty(source_.rules[rule].graph)) continue;
    nullable_[rule] = true;
    work += callers[rule].size();
    if (work > GrammarLimits::kMaxSubsetWork) throw GrammarRefused("too many rules may be empty");
    open.insert(open.end(), callers[rule].begin(), callers[rule].end());
  }
}

void AutomatonBuilder::make_deterministic() {
  SubsetBudget budget;
  for (const auto& rule : source_.rules) {
    const uint32_t start = SubsetBuilder(rule.graph, nullable_, nodes_, budget).build();
    uint32_t entry = start;
    if (nodes_[start].accepts) {  // callers pass over an empty rule by themselves
      entry = static_cast<uint32_t>(nodes_.size());
      nodes_.push_back(nodes_[start]);
      nodes_.back().accepts = false;
    }
    starts_.push_back(start);
    entries_.push_back(entry);
  }
}

// Backwards from the accepting nodes. A call counts once its rule and its target both do, so the
// edge waits at either.
void AutomatonBuilder::find_productive() {
  struct Use {
    uint32_t node;
    uint32_t other;  // the second node that must be productive; kNone: there is none
  };
  std::vector<std::vector<Use>> uses(nodes_.size());
  productive_.assign(nodes_.size(), false);
  std::vector<uint32_t> open;
  for (uint32_t node = 0; node < nodes_.size(); ++node) {
    for (const ByteEdge& edge : nodes_[node].bytes)
      uses[edge.target].push_back({node, Automaton::kNone});
    for (const OtherEdge& edge : nodes_[node].others) {
      if (edge.is_call) {
        uses[edge.target].push_back({node, entries_[edge.operand]});
        uses[entries_[edge.operand]].push_back({node, edge.target});
      } else {
        uses[edge.target].push_back({node, Automaton::kNone});
      }
    }
    if (nodes_[node].accepts) {
      productive_[node] = true;
      open.push_back(node);
    }
  }
  while (!open.empty()) {
    const uint32_t done = open.back();
    open.pop_back();
    for (const Use& use : uses[done]) {
      const bool counts = use.other == Automaton::kNone || productive_[use.other];
      if (!counts || productive_[use.node]) continue;
      productive_[use.node] = true;
      open.push_back(use.node);
    }
  }
  if (!productive_[starts_[source_.root]]) throw GrammarRefused("nothing can match it");
}

void AutomatonBuilder::drop_dead_edges() {
  for (DraftNode& node : nodes_) {
    std::erase_if(node.bytes, [&](const ByteEdge& e) { return !productive_[e.target]; });
    std::erase_if(node.others, [&](const OtherEdge& e) {
      return !productive_[e.target] || (e.is_call && !productive_[entries_[e.operand]]);
    });
  }
  for (DraftNode& node : nodes_) {
    for (OtherEdge& edge : node.others) {
      const DraftNode& target = nodes_[edge.target];
      edge.returns_at_once = target.accepts && target.bytes.empty() && target.others.empty();
    }
  }
}

// Depth first over "may begin with a call of", without recursion; on the way back, how many frames
// such a chain pushes.
void AutomatonBuilder::check_left_recursion() {
  const size_t n_rules = entries_.size();
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(n_rules, kNew);
  std::vector<uint32_t> pushes(n_rules, 0);
  struct Visit {
    uint32_t rule;
    size_t next;
  };
  std::vector<Visit> path;
  for (uint32_t root = 0; root < n_rules; ++root) {
    if (state[root] != kNew) continue;
    path.push_back({root, 0});
    state[root] = kOpen;
    while (!path.empty()) {
      const uint32_t rule = path.back().rule;
      const auto& others = nodes_[entries_[rule]].others;
      if (path.back().next == others.size()) {
        for (const OtherEdge& edge : others) {
          if (!edge.is_call) continue;
          const uint32_t more = edge.returns_at_once ? 0 : 1;
          pushes[rule] = std::max(pushes[rule], pushes[edge.operand] + more);
        }
        state[rule] = kDone;
        path.pop_back();
        continue;
      }
      const OtherEdge& edge = others[path.back().next++];
      if (!edge.is_call || state[edge.operand] == kDone) continue;
      if (state[edge.operand] == kOpen) {
        throw GrammarRefused("left recursion through rule `" + source_.rules[edge.operand].name +
                             "`");
      }
      state[edge.operand] = kOpen;
      path.push_back({edge.operand, 0});
    }
  }
  for (const uint32_t of_rule : pushes) max_pushes_ = std::max(max_pushes_, of_rule + 1);
}

Automaton AutomatonBuilder::pack() {
  Automaton made;
  for (const DraftNode& draft : nodes_) {
    Automaton::Node node;
    node.accepts = draft.accepts;
    node.bytes_begin = static_cast<uint32_t>(made.byte_edges_.size());
    made.byte_edges_.insert(made.byte_edges_.end(), draft.bytes.begin(), draft.bytes.end());
    node.bytes_end = static_cast<uint32_t>(made.byte_edges_.size());
    node.others_begin = static_cast<uint32_t>(made.other_edges_.size());
    made.other_edges_.insert(made.other_edges_.end(), draft.others.begin(), draft.others.end());
    node.others_end = static_cast<uint32_t>(made.other_edges_.size());
    made.nodes_.push_back(node);
  }
  made.entries_ = std::move(entries_);
  made.start_ = starts_[source_.root];
  made.max_pushes_ = max_pushes_;
  return made;
}

Automaton build_automaton(const GrammarSource& source) { return AutomatonBuilder(source).build(); }

}  // namespace lapidary
