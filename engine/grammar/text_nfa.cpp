#include "engine/grammar/text_nfa.h"

#include <algorithm>
#include <map>

namespace lapidary {

uint32_t TextNfa::add_state() {
  if (states_.size() >= kMaxStates) throw GrammarRefused("too complex: repetitions multiply");
  states_.emplace_back();
  return static_cast<uint32_t>(states_.size() - 1);
}

void TextNfa::add_arc(uint32_t from, char32_t lo, char32_t hi, uint32_t to) {
  states_[from].arcs.push_back({lo, hi, to});
}

void TextNfa::add_set(uint32_t from, const CharSet& set, uint32_t to) {
  for (const auto& [lo, hi] : set.ranges()) add_arc(from, lo, hi, to);
}

// The subset construction.
class TextSubsets {
 public:
  TextSubsets(const TextNfa& nfa, uint32_t end)
      : nfa_(nfa), end_(end), mark_(nfa.states_.size(), 0) {}

  TextAutomaton build(uint32_t start) {
    number({step({start}, TextNfa::kBeginMark)});
    for (size_t i = 0; i < order_.size(); ++i) {
      const Subset subset = order_[i];
      TextAutomaton::State state;
      const Subset ended = step(subset, TextNfa::kEndMark);
      state.accepts = std::binary_search(ended.begin(), ended.end(), end_);
      add_arcs(subset, state);
      made_.push_back(std::move(state));
    }
    return TextAutomaton(std::move(made_));
  }

 private:
  using Subset = std::vector<uint32_t>;

  void spend(size_t work) {
    work_ += work;
    if (work_ > TextNfa::kMaxWork) {
      throw GrammarRefused("too complex: making it deterministic takes too much work");
    }
  }

  void close(Subset& subset) {
    ++n_marks_;
    for (const uint32_t s : subset) mark_[s] = n_marks_;
    for (size_t i = 0; i < subset.size(); ++i) {
      for (const uint32_t next : nfa_.states_[subset[i]].skips) {
        if (mark_[next] == n_marks_) continue;
        mark_[next] = n_marks_;
        subset.push_back(next);
      }
    }
    std::sort(subset.begin(), subset.end());
    subset.erase(std::unique(subset.begin(), subset.end()), subset.end());
    spend(subset.size());
  }

  // A mark may be consumed or stay: the way round is asked for at most once for each.
  Subset step(Subset subset, char32_t symbol) {
    close(subset);
    Subset next;
    for (const uint32_t s : subset) {
      for (const TextArc& arc : nfa_.states_[s].arcs) {
        if (arc.lo <= symbol && symbol <= arc.hi) next.push_back(arc.target);
      }
    }
    close(next);
    return next;
  }

  uint32_t number(Subset subset) {
    const auto [at, is_new] = numbers_.emplace(subset, static_cast<uint32_t>(order_.size()));
    if (is_new) {
      if (order_.size() >= TextAutomaton::kMaxStates) {
        throw GrammarRefused("too complex: more than " + std::to_string(TextAutomaton::kMaxStates) +
                             " states");
      }
      order_.push_back(std::move(subset));
    }
    return at->second;
  }

  void add_arcs(const Subset& subset, TextAutomaton::State& state) {
    std::vector<TextArc> arcs;
    for (const uint32_t s : subset) {
      for (const TextArc& arc : nfa_.states_[s].arcs) {
        if (arc.lo <= TextAutomaton::kLastCodePoint) arcs.push_back(arc);
      }
    }
    std::sort(arcs.begin(), arcs.end(),
              [](const TextArc& a, const TextArc& b) { return a.lo < b.lo; });
    std::vector<char32_t> borders;
    for (const TextArc& arc : arcs) {
      borders.push_back(arc.lo);
      borders.push_back(arc.hi + 1);
    }
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    for (size_t i = 0; i + 1 < borders.size(); ++i) {
      Subset targets;
      size_t looked = 0;
      for (const TextArc& arc : arcs) {
        if (arc.lo > borders[i]) break;
        ++looked;
        if (borders[i] <= arc.hi) targets.push_back(arc.target);
      }
      spend(looked);
      if (targets.empty()) continue;
      close(targets);
      const uint32_t target = number(std::move(targets));
      auto& made = state.arcs;
      if (!made.empty() && made.back().target == target && made.back().hi + 1 == borders[i]) {
        made.back().hi = borders[i + 1] - 1;
      } else {
        made.push_back({borders[i], borders[i + 1] - 1, target});
      }
    }
  }

  const TextNfa& nfa_;
  const uint32_t end_;
  std::map<Subset, uint32_t> numbers_;
  std::vector<Subset> order_;
  std::vector<TextAutomaton::State> made_;
  std::vector<uint32_t> mark_;
  uint32_t n_marks_ = 0;
  size_t work_ = 0;
};

TextAutomaton TextNfa::determinized(uint32_t start, uint32_t end) const {
  return TextSubsets(*this, end).build(start);
}

}  // namespace lapidary
