#include "engine/grammar/rule_inliner.h"

#include <algorithm>

namespace lapidary {
namespace {

constexpr size_t kSmallRule = 300;     // states, to be put in another
constexpr size_t kFullRule = 4000;     // states, to take others in
constexpr size_t kFullSource = 60000;  // states of all rules
constexpr int kMaxDepth = 500;

class Inliner {
 public:
  explicit Inliner(GrammarSource& source) : source_(source), state_(source.rules.size(), kNew) {
    for (const auto& rule : source.rules) n_states_ += rule.graph.size();
  }

  // Callees first. False: the rule recurs, or calls one that does.
  bool visit(uint32_t rule, int depth) {
    if (state_[rule] != kNew) return state_[rule] == kFlat;
    if (depth > kMaxDepth) return false;
    state_[rule] = kOpen;
    bool is_flat = true;
    for (const uint32_t callee : callees(rule)) is_flat &= visit(callee, depth + 1);
    take_in(rule);
    state_[rule] = is_flat ? kFlat : kRecurring;
    return is_flat;
  }

 private:
  enum State : uint8_t { kNew, kOpen, kFlat, kRecurring };

  std::vector<uint32_t> callees(uint32_t rule) const {
    std::vector<uint32_t> found;
    const RuleGraph& graph = source_.rules[rule].graph;
    for (uint32_t s = 0; s < graph.size(); ++s) {
      for (const GraphEdge& edge : graph.edges(s)) {
        if (edge.kind == GraphEdge::Kind::kCall) found.push_back(edge.operand);
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  }

  bool fits(const RuleGraph& into, const RuleGraph& graph) const {
    return graph.size() <= kSmallRule && into.size() + graph.size() <= kFullRule &&
           n_states_ + graph.size() <= kFullSource;
  }

  void take_in(uint32_t rule) {
    const RuleGraph old = source_.rules[rule].graph;
    RuleGraph made;
    while (made.size() < old.size()) made.add_state();
    for (uint32_t s = 0; s < old.size(); ++s) {
      if (old.is_final(s)) made.set_final(s);
      for (const GraphEdge& edge : old.edges(s)) {
        const bool is_flat = edge.kind == GraphEdge::Kind::kCall && state_[edge.operand] == kFlat;
        if (is_flat && fits(made, source_.rules[edge.operand].graph)) {
          copy(source_.rules[edge.operand].graph, made, s, edge.target);
        } else {
          add(made, s, edge, edge.target);
        }
      }
    }
    source_.rules[rule].graph = std::move(made);
  }

  void copy(const RuleGraph& graph, RuleGraph& made, uint32_t from, uint32_t to) {
    const auto first = static_cast<uint32_t>(made.size());
    n_states_ += graph.size();
    for (size_t s = 0; s < graph.size(); ++s) made.add_state();
    made.add_skip(from, first);
    for (uint32_t s = 0; s < graph.size(); ++s) {
      for (const GraphEdge& edge : graph.edges(s)) add(made, first + s, edge, first + edge.target);
      if (graph.is_final(s)) made.add_skip(first + s, to);
    }
  }

  static void add(RuleGraph& graph, uint32_t from, const GraphEdge& edge, uint32_t to) {
    switch (edge.kind) {
      case GraphEdge::Kind::kBytes:
        return graph.add_bytes(from, edge.lo, edge.hi, to);
      case GraphEdge::Kind::kCall:
        return graph.add_call(from, edge.operand, to);
      case GraphEdge::Kind::kToken:
        return graph.add_token(from, static_cast<int32_t>(edge.operand), to);
      case GraphEdge::Kind::kSkip:
        return graph.add_skip(from, to);
    }
  }

  GrammarSource& source_;
  std::vector<State> state_;
  size_t n_states_ = 0;
};

}  // namespace

void inline_small_rules(GrammarSource& source) {
  Inliner inliner(source);
  for (uint32_t rule = 0; rule < source.rules.size(); ++rule) inliner.visit(rule, 0);
}

}  // namespace lapidary
