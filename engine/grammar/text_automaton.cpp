#include "engine/grammar/text_automaton.h"

#include <algorithm>
#include <map>

namespace lapidary {
namespace {

constexpr char32_t kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

using State = TextAutomaton::State;

void check_count(size_t n_states) {
  if (n_states > TextAutomaton::kMaxStates) {
    throw GrammarRefused("too complex: more than " + std::to_string(TextAutomaton::kMaxStates) +
                         " states");
  }
}

void check_arcs(size_t n_arcs) {
  if (n_arcs > TextAutomaton::kMaxArcs) {
    throw GrammarRefused("too complex: more than " + std::to_string(TextAutomaton::kMaxArcs) +
                         " ways from state to state");
  }
}

uint32_t target_of(const State& state, char32_t c) {
  for (const TextArc& arc : state.arcs) {
    if (c <= arc.hi) return c >= arc.lo ? arc.target : UINT32_MAX;
  }
  return UINT32_MAX;
}

}  // namespace

std::optional<std::u32string> code_points(std::string_view utf8) {
  std::u32string out;
  for (size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<uint8_t>(utf8[i]);
    const size_t n = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
    if (n == 0 || lead > 0xF4 || i + n > utf8.size()) return std::nullopt;
    char32_t c = n == 1 ? lead : lead & (0x7FU >> n);
    for (size_t k = 1; k < n; ++k) {
      const auto next = static_cast<uint8_t>(utf8[i + k]);
      if ((next & 0xC0U) != 0x80) return std::nullopt;
      c = (c << 6) | (next & 0x3FU);
    }
    const bool is_overlong = (n == 3 && c < 0x800) || (n == 4 && c < 0x10000);
    if (is_overlong || c > TextAutomaton::kLastCodePoint ||
        (c >= kFirstSurrogate && c <= kLastSurrogate)) {
      return std::nullopt;
    }
    out.push_back(c);
    i += n;
  }
  return out;
}

TextAutomaton TextAutomaton::any() {
  State state;
  state.accepts = true;
  state.arcs = {{0, kFirstSurrogate - 1, 0}, {kLastSurrogate + 1, kLastCodePoint, 0}};
  return TextAutomaton({state});
}

bool TextAutomaton::is_any() const {
  return states_.size() == 1 && states_[0].accepts && states_[0].arcs.size() == 2 &&
         states_[0].arcs[0].lo == 0 && states_[0].arcs[0].hi == kFirstSurrogate - 1 &&
         states_[0].arcs[1].lo == kLastSurrogate + 1 && states_[0].arcs[1].hi == kLastCodePoint;
}

TextAutomaton TextAutomaton::of_words(const std::vector<std::string>& words) {
  std::vector<State> states(1);
  for (const std::string& word : words) {
    const auto text = code_points(word);
    if (!text) throw GrammarRefused("a string is not valid UTF-8");
    uint32_t at = 0;
    for (const char32_t c : *text) {
      auto& arcs = states[at].arcs;
      const auto place = std::lower_bound(
          arcs.begin(), arcs.end(), c, [](const TextArc& arc, char32_t x) { return arc.lo < x; });
      if (place != arcs.end() && place->lo == c) {
        at = place->target;
        continue;
      }
      const auto next = static_cast<uint32_t>(states.size());
      arcs.insert(place, {c, c, next});
      check_count(states.size() + 1);
      states.emplace_back();
      at = next;
    }
    states[at].accepts = true;
  }
  return TextAutomaton(std::move(states));
}

// Keeps what lies between the start and an accepting state, in the order in which it is reached.
void TextAutomaton::trim() {
  std::vector<std::vector<uint32_t>> sources(states_.size());
  std::vector<uint32_t> open;
  std::vector<bool> is_live(states_.size());
  for (uint32_t s = 0; s < states_.size(); ++s) {
    for (const TextArc& arc : states_[s].arcs) sources[arc.target].push_back(s);
    if (states_[s].accepts) {
      is_live[s] = true;
      open.push_back(s);
    }
  }
  while (!open.empty()) {
    const uint32_t s = open.back();
    open.pop_back();
    for (const uint32_t source : sources[s]) {
      if (is_live[source]) continue;
      is_live[source] = true;
      open.push_back(source);
    }
  }
  if (states_.empty() || !is_live[0]) {
    states_.clear();
    return;
  }
  std::vector<uint32_t> renamed(states_.size(), UINT32_MAX), order = {0};
  renamed[0] = 0;
  std::vector<State> kept;
  for (size_t i = 0; i < order.size(); ++i) {
    State state = std::move(states_[order[i]]);
    std::erase_if(state.arcs, [&](const TextArc& arc) { return !is_live[arc.target]; });
    for (TextArc& arc : state.arcs) {
      if (renamed[arc.target] == UINT32_MAX) {
        renamed[arc.target] = static_cast<uint32_t>(order.size());
        order.push_back(arc.target);
      }
      arc.target = renamed[arc.target];
    }
    kept.push_back(std::move(state));
  }
  states_ = std::move(kept);
}

TextAutomaton TextAutomaton::both(const TextAutomaton& other) const {
  if (is_empty() || other.is_any()) return *this;
  if (other.is_empty() || is_any()) return other;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> numbers = {{{0, 0}, 0}};
  std::vector<std::pair<uint32_t, uint32_t>> order = {{0, 0}};
  std::vector<State> made;
  size_t n_arcs = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    check_count(order.size());
    const State& a = states_[order[i].first];
    const State& b = other.states_[order[i].second];
    State state;
    state.accepts = a.accepts && b.accepts;
    for (size_t x = 0, y = 0; x < a.arcs.size() && y < b.arcs.size();) {
      const TextArc& p = a.arcs[x];
      const TextArc& q = b.arcs[y];
      const char32_t lo = std::max(p.lo, q.lo), hi = std::min(p.hi, q.hi);
      if (lo <= hi) {
        const auto [at, is_new] =
            numbers.emplace(std::pair{p.target, q.target}, static_cast<uint32_t>(order.size()));
        if (is_new) order.emplace_back(p.target, q.target);
        state.arcs.push_back({lo, hi, at->second});
      }
      (p.hi < q.hi ? x : y) += 1;
    }
    check_arcs(n_arcs += state.arcs.size());
    made.push_back(std::move(state));
  }
  return TextAutomaton(std::move(made));
}

TextAutomaton TextAutomaton::negated() const {
  std::vector<State> made = states_;
  if (made.empty()) made.emplace_back();
  const auto sink = static_cast<uint32_t>(made.size());
  made.push_back(any().states_[0]);
  for (TextArc& arc : made.back().arcs) arc.target = sink;
  for (uint32_t s = 0; s < sink; ++s) {
    State& state = made[s];
    state.accepts = !state.accepts;
    std::vector<TextArc> arcs;
    char32_t from = 0;
    const auto fill = [&](char32_t to) {  // [from, to) leads away
      if (from < to && from < kFirstSurrogate) {
        arcs.push_back({from, std::min<char32_t>(to, kFirstSurrogate) - 1, sink});
      }
      if (to > kLastSurrogate + 1 && from < to) {
        const char32_t lo = std::max<char32_t>(from, kLastSurrogate + 1);
        if (lo < to) arcs.push_back({lo, to - 1, sink});
      }
    };
    for (const TextArc& arc : state.arcs) {
      fill(arc.lo);
      arcs.push_back(arc);
      from = arc.hi + 1;
    }
    fill(kLastCodePoint + 1);
    state.arcs = std::move(arcs);
  }
  return TextAutomaton(std::move(made));
}

// Nothing when there is none: some strings have no bound.
std::optional<size_t> TextAutomaton::longest() const {
  // In the order of a depth-first walk every arc but those of a circle leads to what is done.
  std::vector<size_t> length(states_.size(), 0);
  std::vector<char> is_open(states_.size(), 0), is_done(states_.size(), 0);
  std::vector<std::pair<uint32_t, size_t>> path;  // states and their next arcs
  if (!is_empty()) path.emplace_back(0, 0);
  while (!path.empty()) {
    auto& [at, next] = path.back();
    is_open[at] = 1;
    if (next == states_[at].arcs.size()) {
      for (const TextArc& arc : states_[at].arcs) {
        length[at] = std::max(length[at], length[arc.target] + 1);
      }
      is_open[at] = 0;
      is_done[at] = 1;
      path.pop_back();
      continue;
    }
    const uint32_t target = states_[at].arcs[next++].target;
    if (is_open[target]) return std::nullopt;
    if (!is_done[target]) path.emplace_back(target, 0);
  }
  return is_empty() ? 0 : length[0];
}

TextAutomaton TextAutomaton::of_length(size_t min, std::optional<size_t> max) const {
  if (max && min > *max) return TextAutomaton({});
  if (max && longest().value_or(SIZE_MAX) <= *max) return of_length(min, std::nullopt);
  if (is_empty() || (min == 0 && !max)) return *this;
  // Counts up to `max`; without one, up to `min`, where it stays.
  const size_t last = max ? *max : min;
  std::map<std::pair<uint32_t, size_t>, uint32_t> numbers = {{{0, 0}, 0}};
  std::vector<std::pair<uint32_t, size_t>> order = {{0, 0}};
  std::vector<State> made;
  size_t n_arcs = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    check_count(order.size());
    const auto [from, length] = order[i];
    State state;
    state.accepts = states_[from].accepts && length >= min;
    const bool is_full = length == last;
    if (!is_full || !max) {
      for (TextArc arc : states_[from].arcs) {
        const std::pair next = {arc.target, is_full ? length : length + 1};
        const auto [at, is_new] = numbers.emplace(next, static_cast<uint32_t>(order.size()));
        if (is_new) order.push_back(next);
        arc.target = at->second;
        state.arcs.push_back(arc);
      }
    }
    check_arcs(n_arcs += state.arcs.size());
    made.push_back(std::move(state));
  }
  return TextAutomaton(std::move(made));
}

bool TextAutomaton::matches(std::string_view utf8) const {
  const auto text = code_points(utf8);
  if (!text || is_empty()) return false;
  uint32_t at = 0;
  for (const char32_t c : *text) {
    at = target_of(states_[at], c);
    if (at == UINT32_MAX) return false;
  }
  return states_[at].accepts;
}

}  // namespace lapidary
