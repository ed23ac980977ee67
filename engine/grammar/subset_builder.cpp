#include "engine/grammar/subset_builder.h"

#include <algorithm>

namespace lapidary {
namespace {

using Kind = GraphEdge::Kind;

void sort_unique(std::vector<uint32_t>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

bool are_disjoint(std::vector<GraphEdge>& edges) {
  std::sort(edges.begin(), edges.end(),
            [](const GraphEdge& a, const GraphEdge& b) { return a.lo < b.lo; });
  for (size_t i = 1; i < edges.size(); ++i) {
    if (edges[i].lo <= edges[i - 1].hi) return false;
  }
  return true;
}

void add_range(std::vector<ByteEdge>& edges, ByteEdge edge) {
  if (!edges.empty() && edges.back().target == edge.target && edges.back().hi + 1 == edge.lo) {
    edges.back().hi = edge.hi;
  } else {
    edges.push_back(edge);
  }
}

}  // namespace

uint32_t SubsetBuilder::build() {
  node_of_state_.assign(graph_.size(), Automaton::kNone);
  mark_.assign(graph_.size(), 0);
  const uint32_t first = node_of({RuleGraph::kStart});
  while (!open_.empty()) {
    const auto [node, states] = std::move(open_.back());
    open_.pop_back();
    fill(node, states);
  }
  return first;
}

void SubsetBuilder::spend(size_t work) {
  if (budget_.work_left < work) {
    throw GrammarRefused("too complex: making it deterministic takes too much work");
  }
  budget_.work_left -= work;
}

void SubsetBuilder::close(Subset& states) {
  ++n_marks_;
  for (const uint32_t state : states) mark_[state] = n_marks_;
  for (size_t i = 0; i < states.size(); ++i) {
    for (const GraphEdge& edge : graph_.edges(states[i])) {
      const bool skips =
          edge.kind == Kind::kSkip || (edge.kind == Kind::kCall && is_nullable_[edge.operand]);
      if (skips && mark_[edge.target] != n_marks_) {
        mark_[edge.target] = n_marks_;
        states.push_back(edge.target);
      }
    }
    spend(1 + graph_.edges(states[i]).size());
  }
  std::sort(states.begin(), states.end());
}

uint32_t SubsetBuilder::node_of(Subset states) {
  const bool is_single = states.size() == 1;
  const uint32_t only = states.front();
  if (is_single && node_of_state_[only] != Automaton::kNone) return node_of_state_[only];
  close(states);
  uint32_t node = Automaton::kNone;
  if (!is_single || states.size() > 1) {
    const auto [at, is_new] = node_of_subset_.emplace(states, Automaton::kNone);
    if (!is_new) node = at->second;
  }
  if (node == Automaton::kNone) {
    if (budget_.states_left == 0) throw GrammarRefused("too many states");
    --budget_.states_left;
    node = static_cast<uint32_t>(nodes_.size());
    nodes_.emplace_back();
    if (states.size() > 1) node_of_subset_[states] = node;
    open_.emplace_back(node, states);
  }
  if (is_single) node_of_state_[only] = node;
  return node;
}

void SubsetBuilder::fill(uint32_t node, const Subset& states) {
  fill_bytes(node, states);
  fill_others(node, states);
  for (const uint32_t state : states) {
    if (graph_.is_final(state)) nodes_[node].accepts = true;
  }
}

void SubsetBuilder::fill_bytes(uint32_t node, const Subset& states) {
  std::vector<GraphEdge> edges;
  for (const uint32_t state : states) {
    for (const GraphEdge& edge : graph_.edges(state)) {
      if (edge.kind == Kind::kBytes) edges.push_back(edge);
    }
  }
  std::vector<ByteEdge> made;
  if (are_disjoint(edges)) {
    for (const GraphEdge& edge : edges) {
      add_range(made, {edge.lo, edge.hi, node_of({edge.target})});
    }
    nodes_[node].bytes = std::move(made);
    return;
  }
  std::vector<uint32_t> borders;
  for (const GraphEdge& edge : edges) {
    borders.push_back(edge.lo);
    borders.push_back(edge.hi + 1U);
  }
  sort_unique(borders);
  for (size_t i = 0; i + 1 < borders.size(); ++i) {
    spend(edges.size());
    Subset targets;
    for (const GraphEdge& edge : edges) {
      if (edge.lo <= borders[i] && borders[i] <= edge.hi) targets.push_back(edge.target);
    }
    if (targets.empty()) continue;
    sort_unique(targets);
    add_range(made, {static_cast<uint8_t>(borders[i]), static_cast<uint8_t>(borders[i + 1] - 1),
                     node_of(std::move(targets))});
  }
  nodes_[node].bytes = std::move(made);
}

void SubsetBuilder::fill_others(uint32_t node, const Subset& states) {
  std::map<std::pair<bool, uint32_t>, Subset> targets;
  for (const uint32_t state : states) {
    for (const GraphEdge& edge : graph_.edges(state)) {
      if (edge.kind != Kind::kCall && edge.kind != Kind::kToken) continue;
      targets[{edge.kind == Kind::kCall, edge.operand}].push_back(edge.target);
    }
  }
  for (auto& [symbol, subset] : targets) {
    sort_unique(subset);
    const uint32_t target = node_of(std::move(subset));
    nodes_[node].others.push_back({symbol.first, false, symbol.second, target});
  }
}

}  // namespace lapidary
