#include "engine/grammar/trie_walker.h"

#include <algorithm>

namespace lapidary {

namespace {
constexpr size_t kMaxRows = 2048;
constexpr size_t kFewRanges = 3;
}  // namespace

TrieWalker::TrieWalker(const Automaton& automaton, const TokenTrie& trie)
    : automaton_(automaton),
      trie_(trie),
      stepper_(automaton),
      row_of_(automaton.size(), -1),
      levels_(trie.max_depth() + 2),
      plain_nodes_(trie.max_depth() + 2) {}

bool TrieWalker::walk(std::span<const Config> raw, Stacks& stacks, Found& found, size_t max_steps) {
  stacks_ = &stacks;
  found_ = &found;
  steps_left_ = max_steps;
  const size_t n_cells = stacks.size();
  ready_.clear();
  begin(raw, 0);
  for (const Config& config : ready_) {
    for (const OtherEdge& edge : automaton_.others(config.node)) {
      if (!edge.is_call) found.tokens.push_back(static_cast<int32_t>(edge.operand));
    }
  }
  visit_children(0);
  stacks.truncate(n_cells);
  return steps_left_ > 0;
}

void TrieWalker::walk_at_limit(std::span<const Config> raw, Stacks& stacks, Found& found) {
  is_at_limit_ = true;
  walk(raw, stacks, found);
  is_at_limit_ = false;
}

void TrieWalker::walk_from(std::span<const uint32_t> at, std::span<const Config> raw,
                           Stacks& stacks, Found& found) {
  stacks_ = &stacks;
  found_ = &found;
  steps_left_ = SIZE_MAX;
  const size_t n_cells = stacks.size();
  ready_.clear();
  begin(raw, 0);
  std::array<bool, 256> leads_on{};
  for (const Config& config : ready_) {
    for (const ByteEdge& edge : automaton_.bytes(config.node)) {
      for (int byte = edge.lo; byte <= edge.hi; ++byte) leads_on[static_cast<size_t>(byte)] = true;
    }
  }
  const Level level = levels_[0];
  for (const uint32_t node : at) {
    levels_[trie_.depth(node)] = level;
    for (uint32_t child = node + 1; child < trie_.end(node); child = trie_.end(child)) {
      if (leads_on[trie_.byte(child)]) visit(child);
    }
  }
  stacks.truncate(n_cells);
}

size_t TrieWalker::bytes() const {
  return row_of_.size() * sizeof(row_of_[0]) + rows_.capacity() * sizeof(Row) +
         levels_.size() * sizeof(Level) + ready_.capacity() * sizeof(Config);
}

void TrieWalker::begin(std::span<const Config> raw, uint32_t depth) {
  Level& level = levels_[depth];
  level.begin = ready_.size();
  stepper_.expand(raw, *stacks_, ready_);
  level.end = ready_.size();
  level.n_cells = stacks_->size();
}

void TrieWalker::visit_children(uint32_t node) {
  for (uint32_t child = node + 1; child < trie_.end(node); child = trie_.end(child)) {
    if (steps_left_ == 0) return;
    visit(child);
  }
}

// REQUIRES: the level above the node is set.
void TrieWalker::visit(uint32_t node) {
  const uint32_t end = trie_.end(node);
  while (node < end && steps_left_ > 0) {
    --steps_left_;
    const Level level = levels_[trie_.depth(node) - 1];
    node = enter(node, level) ? node + 1 : trie_.end(node);
  }
}

// True when the children are to be visited one by one.
bool TrieWalker::enter(uint32_t node, const Level& level) {
  ready_.resize(level.end);
  stacks_->truncate(level.n_cells);
  raw_.clear();
  stepper_.step({ready_.data() + level.begin, level.end - level.begin}, trie_.byte(node), raw_);
  if (raw_.empty()) return false;
  if (is_at_limit_) {
    Level& below = levels_[trie_.depth(node)];
    below.begin = ready_.size();
    const bool ends = stepper_.expand(raw_, *stacks_, ready_).bottom;
    below.end = ready_.size();
    below.n_cells = stacks_->size();
    if (ends || below.end > below.begin) add_tokens(node);
    return below.end > below.begin;
  }
  add_tokens(node);
  if (!trie_.has_children(node)) return false;
  if (raw_.size() == 1 && automaton_.is_plain(raw_[0].node)) {
    visit_plain(node, raw_[0]);
    return false;
  }
  Level& below = levels_[trie_.depth(node)];
  below.begin = ready_.size();
  if (stepper_.expand(raw_, *stacks_, ready_).unknown) found_->returns.push_back(node);
  below.end = ready_.size();
  below.n_cells = stacks_->size();
  return below.end > below.begin;
}

// The common case, without lists: one configuration that neither calls nor returns.
void TrieWalker::visit_plain(uint32_t node, Config config) {
  const uint32_t end = trie_.end(node);
  plain_nodes_[trie_.depth(node)] = config.node;
  for (++node; node < end && steps_left_ > 0;) {
    --steps_left_;
    const uint32_t depth = trie_.depth(node);
    const uint32_t next = step(plain_nodes_[depth - 1], trie_.byte(node));
    if (next == Automaton::kNone) {
      node = trie_.end(node);
      continue;
    }
    add_tokens(node);
    plain_nodes_[depth] = next;
    if (automaton_.is_plain(next)) {
      ++node;
      continue;
    }
    if (trie_.has_children(node)) {
      const Config raw = {next, config.cell};
      Level& level = levels_[depth];
      level.begin = ready_.size();
      if (stepper_.expand({&raw, 1}, *stacks_, ready_).unknown) found_->returns.push_back(node);
      level.end = ready_.size();
      level.n_cells = stacks_->size();
      const Level kept = level;
      if (kept.end > kept.begin) visit_children(node);
      ready_.resize(kept.begin);
    }
    node = trie_.end(node);
  }
}

uint32_t TrieWalker::step(uint32_t node, uint8_t byte) {
  const auto ranges = automaton_.bytes(node);
  if (ranges.size() <= kFewRanges) return automaton_.step(node, byte);
  if (row_of_[node] < 0) {
    if (rows_.size() == kMaxRows) {
      rows_.clear();
      std::fill(row_of_.begin(), row_of_.end(), -1);
    }
    row_of_[node] = static_cast<int32_t>(rows_.size());
    Row& row = rows_.emplace_back();
    row.fill(Automaton::kNone);
    for (const ByteEdge& edge : ranges) {
      for (int b = edge.lo; b <= edge.hi; ++b) row[static_cast<size_t>(b)] = edge.target;
    }
  }
  return rows_[static_cast<size_t>(row_of_[node])][byte];
}

void TrieWalker::add_tokens(uint32_t node) {
  const auto tokens = trie_.tokens(node);
  found_->tokens.insert(found_->tokens.end(), tokens.begin(), tokens.end());
}

}  // namespace lapidary
