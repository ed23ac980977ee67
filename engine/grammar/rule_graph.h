// What front ends write and build_automaton reads: rules, each a graph of states with edges that
// consume a byte, consume one special token, stand for another rule, or consume nothing. Nothing
// here needs to be deterministic or trimmed. Plain data of the thread that compiles.
// Refuses, with GrammarRefused, more than GrammarLimits allow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/grammar_refused.h"

namespace lapidary {

struct GraphEdge {
  enum class Kind : uint8_t { kBytes, kCall, kToken, kSkip };
  Kind kind = Kind::kSkip;
  uint8_t lo = 0, hi = 0;  // kBytes: both ends belong to the range
  uint32_t operand = 0;    // kCall: the rule; kToken: the token id
  uint32_t target = 0;
};

// Edges of all states lie in one list, linked: graphs of a hundred thousand states would spend
// their time on a hundred thousand small ones.
struct EdgeLink {
  static constexpr uint32_t kNone = UINT32_MAX;
  GraphEdge edge;
  uint32_t next = kNone;  // of the same state
};

// The edges of one state, in the order in which they were added.
class EdgeList {
 public:
  class Iterator {
   public:
    Iterator(const std::vector<EdgeLink>& links, uint32_t at) : links_(&links), at_(at) {}
    const GraphEdge& operator*() const { return (*links_)[at_].edge; }
    Iterator& operator++() {
      at_ = (*links_)[at_].next;
      return *this;
    }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const std::vector<EdgeLink>* links_;
    uint32_t at_;
  };

  EdgeList(const std::vector<EdgeLink>& links, uint32_t first, uint32_t n)
      : links_(links), first_(first), n_(n) {}
  Iterator begin() const { return {links_, first_}; }
  Iterator end() const { return {links_, EdgeLink::kNone}; }
  size_t size() const { return n_; }

 private:
  const std::vector<EdgeLink>& links_;
  const uint32_t first_, n_;
};

class RuleGraph {
 public:
  static constexpr uint32_t kStart = 0;

  RuleGraph() { add_state(); }

  uint32_t add_state() {
    if (states_.size() >= GrammarLimits::kMaxStates) throw GrammarRefused("too many states");
    states_.emplace_back();
    return static_cast<uint32_t>(states_.size() - 1);
  }
  void set_final(uint32_t state) { states_[state].is_final = true; }
  void add_bytes(uint32_t from, uint8_t lo, uint8_t hi, uint32_t to) {
    add_edge(from, {GraphEdge::Kind::kBytes, lo, hi, 0, to});
  }
  void add_call(uint32_t from, uint32_t rule, uint32_t to) {
    add_edge(from, {GraphEdge::Kind::kCall, 0, 0, rule, to});
  }
  void add_token(uint32_t from, int32_t id, uint32_t to) {
    add_edge(from, {GraphEdge::Kind::kToken, 0, 0, static_cast<uint32_t>(id), to});
  }
  void add_skip(uint32_t from, uint32_t to) {
    add_edge(from, {GraphEdge::Kind::kSkip, 0, 0, 0, to});
  }
  // Gives the state behind the last byte.
  uint32_t add_literal(uint32_t from, std::string_view bytes) {
    for (const char c : bytes) {
      const uint32_t to = add_state();
      add_bytes(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), to);
      from = to;
    }
    return from;
  }

  size_t size() const { return states_.size(); }
  size_t n_edges() const { return links_.size(); }
  bool is_final(uint32_t state) const { return states_[state].is_final; }
  EdgeList edges(uint32_t state) const {
    return {links_, states_[state].first, states_[state].n_edges};
  }

 private:
  struct State {
    bool is_final = false;
    uint32_t first = EdgeLink::kNone, last = EdgeLink::kNone, n_edges = 0;
  };

  void add_edge(uint32_t from, GraphEdge edge) {
    if (links_.size() >= GrammarLimits::kMaxEdges) throw GrammarRefused("too many transitions");
    const auto added = static_cast<uint32_t>(links_.size());
    links_.push_back({edge});
    State& state = states_[from];
    (state.n_edges == 0 ? state.first : links_[state.last].next) = added;
    state.last = added;
    ++state.n_edges;
  }

  std::vector<State> states_;
  std::vector<EdgeLink> links_;
};

struct GrammarSource {
  struct Rule {
    std::string name;  // for messages only
    RuleGraph graph;
  };

  // A rule may be called before its graph is filled in.
  uint32_t add_rule(std::string name) {
    if (rules.size() >= GrammarLimits::kMaxRules) throw GrammarRefused("too many rules");
    rules.push_back({std::move(name), RuleGraph()});
    return static_cast<uint32_t>(rules.size() - 1);
  }
  RuleGraph& graph(uint32_t rule) { return rules[rule].graph; }

  std::vector<Rule> rules;
  uint32_t root = 0;
};

}  // namespace lapidary
