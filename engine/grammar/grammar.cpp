#include "engine/grammar/grammar.h"

#include <algorithm>
#include <chrono>

namespace lapidary {
namespace {

// A walk shorter than this costs less than a signature.
constexpr size_t kCheapWalk = 12000;
// Nodes that go on with this many bytes or more are worth a mask before they are needed.
constexpr int kManyBytes = 24;
constexpr auto kTimeAhead = std::chrono::milliseconds(15);

void set_tokens(std::span<const int32_t> tokens, std::span<uint32_t> mask) {
  for (const int32_t id : tokens) {
    mask[static_cast<size_t>(id) / 32] |= 1U << (static_cast<uint32_t>(id) % 32);
  }
}

int n_bytes(const Automaton& automaton, uint32_t node) {
  int n = 0;
  for (const ByteEdge& edge : automaton.bytes(node)) n += edge.hi - edge.lo + 1;
  return n;
}

}  // namespace

std::shared_ptr<const Grammar> Grammar::compile(const GrammarSource& source,
                                                const GrammarVocabulary& vocabulary) {
  auto grammar = std::make_shared<const Grammar>(build_automaton(source), vocabulary);
  grammar->work_ahead();
  return grammar;
}

Grammar::Grammar(Automaton automaton, const GrammarVocabulary& vocabulary)
    : automaton_(std::move(automaton)),
      vocabulary_(vocabulary),
      walker_(automaton_, vocabulary.trie()),
      stepper_(automaton_),
      signatures_(automaton_, vocabulary.secret(),
                  std::min<uint32_t>(vocabulary.trie().max_depth(), 255)),
      masks_(automaton_.size()) {}

size_t Grammar::bytes() const {
  const std::lock_guard lock(mutex_);
  return automaton_.bytes() + masks_.size() * sizeof(masks_[0]) + mask_bytes_ + walker_.bytes() +
         signatures_.bytes();
}

// Within a time, since only speed depends on how far it comes.
void Grammar::work_ahead() const {
  const std::lock_guard lock(mutex_);
  const auto end = std::chrono::steady_clock::now() + kTimeAhead;
  for (uint32_t node = 0; node < automaton_.size(); ++node) {
    if (n_bytes(automaton_, node) < kManyBytes) continue;
    if (std::chrono::steady_clock::now() > end) break;
    mask_of(node);
  }
  signatures_.forget();
}

std::shared_ptr<const NodeMask> Grammar::make_mask(uint32_t node) const {
  const Config self = {node, Stacks::kUnknown};
  Stacks stacks;
  found_ = {};
  std::optional<NodeSignature> signature;
  if (!walker_.walk({&self, 1}, stacks, found_, kCheapWalk)) {
    signature = signatures_.read(node);
    if (signature) {
      if (auto kept = vocabulary_.find_mask(*signature)) return kept;
    }
    found_ = {};
    walker_.walk({&self, 1}, stacks, found_);
  }
  auto made = std::make_shared<NodeMask>();
  made->returns = std::move(found_.returns);
  if (found_.tokens.size() < vocabulary_.n_words()) {
    made->tokens = std::move(found_.tokens);
    made->tokens.shrink_to_fit();
  } else {
    made->words.assign(vocabulary_.n_words(), 0);
    set_tokens(found_.tokens, made->words);
  }
  found_ = {};
  if (signature) vocabulary_.keep_mask(*signature, made);
  return made;
}

std::shared_ptr<const NodeMask> Grammar::mask_of(uint32_t node) const {
  if (masks_[node]) return masks_[node];
  auto made = make_mask(node);
  if (mask_bytes_ + made->bytes() <= kMaxMaskBytes) {
    mask_bytes_ += made->bytes();
    masks_[node] = made;
  }
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
    walker_.walk_at_limit({near_limit, returned_.end()}, stacks, found_);
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
  const auto own = mask_of(configs[0].node);
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
    walker_.walk_from(own->returns, rest.first(n), stacks, found_);
    set_tokens(found_.tokens, mask);
    rest = rest.subspan(n);
  }
}

}  // namespace lapidary
