#include "engine/grammar/grammar.h"

#include <algorithm>

namespace lapidary {

std::shared_ptr<const Grammar> Grammar::compile(const GrammarSource& source,
                                                const GrammarVocabulary& vocabulary) {
  return std::make_shared<const Grammar>(build_automaton(source), vocabulary);
}

Grammar::Grammar(Automaton automaton, const GrammarVocabulary& vocabulary)
    : automaton_(std::move(automaton)),
      vocabulary_(vocabulary),
      masks_(automaton_.size()),
      masker_(automaton_, vocabulary),
      stepper_(automaton_) {}

size_t Grammar::bytes() const {
  const std::lock_guard lock(mutex_);
  return automaton_.bytes() + masks_.bytes() + masker_.bytes();
}

void Grammar::make_masks(const std::function<bool()>& goes_on) const {
  NodeMasker masker(automaton_, vocabulary_);
  std::vector<bool> is_seen(automaton_.size());
  std::vector<uint32_t> order;
  const auto see = [&](uint32_t node) {
    if (!is_seen[node]) order.push_back(node);
    is_seen[node] = true;
  };
  see(automaton_.start());
  for (size_t i = 0; i < order.size(); ++i) {
    if (masks_.is_full() || !goes_on()) return;
    mask_of(order[i], masker);
    for (const ByteEdge& edge : automaton_.bytes(order[i])) see(edge.target);
    for (const OtherEdge& edge : automaton_.others(order[i])) {
      if (edge.is_call) see(automaton_.entry(edge.operand));
      see(edge.target);
    }
  }
}

std::shared_ptr<const NodeMask> Grammar::mask_of(uint32_t node, NodeMasker& masker) const {
  if (const auto& known = masks_.find(node)) return known;
  auto made = masker.make(node);
  masks_.keep(node, made);
  return made;
}

void Grammar::allow(std::span<const Config> configs, Stacks& stacks,
                    std::span<uint32_t> mask) const {
  std::fill(mask.begin(), mask.end(), 0U);
  const std::lock_guard lock(mutex_);
  returned_.clear();
  stepper_.unwind(configs, stacks, returned_);
  // A mask is made as if calls could nest without end.
  const uint64_t reach = uint64_t{vocabulary_.trie().max_depth() + 1} * automaton_.max_pushes();
  const auto near_limit =
      std::partition(returned_.begin(), returned_.end(), [&](const Config& config) {
        return stacks.cell(config.cell).depth + reach <= Stacks::kMaxDepth;
      });
  if (near_limit != returned_.end()) {
    found_ = {};
    masker_.walker().walk_at_limit({near_limit, returned_.end()}, stacks, found_);
    set_tokens(found_.tokens, mask);
    returned_.erase(near_limit, returned_.end());
  }
  // An ambiguous grammar stands at one node in many ways; the node is looked at once.
  std::ranges::sort(returned_, {}, &Config::node);
  for (auto at = returned_.begin(); at != returned_.end();) {
    const auto end = std::find_if(at, returned_.end(),
                                  [&](const Config& config) { return config.node != at->node; });
    allow_node({at, end}, stacks, mask);
    at = end;
  }
}

// REQUIRES: all stand at one node.
void Grammar::allow_node(std::span<const Config> configs, Stacks& stacks,
                         std::span<uint32_t> mask) const {
  const auto own = mask_of(configs[0].node, masker_);
  for (size_t i = 0; i < own->words.size(); ++i) mask[i] |= own->words[i];
  set_tokens(own->tokens, mask);
  if (own->returns.empty()) return;
  below_.clear();
  for (const Config& config : configs) {
    if (config.cell < Stacks::kFirstCell) continue;
    const StackCell& cell = stacks.cell(config.cell);
    below_.push_back({cell.node, cell.parent});
  }
  // In parts, so that none falls to the limit on configurations.
  for (std::span<const Config> rest = below_; !rest.empty();) {
    const size_t n = std::min(rest.size(), Stacks::kMaxConfigs / 4);
    found_.tokens.clear();
    masker_.walker().walk_from(own->returns, rest.first(n), stacks, found_);
    set_tokens(found_.tokens, mask);
    rest = rest.subspan(n);
  }
}

}  // namespace lapidary
