#include "engine/grammar/node_masker.h"

#include <algorithm>
#include <optional>

namespace lapidary {
namespace {

// A walk shorter than this costs less than a signature.
constexpr size_t kCheapWalk = 12000;

}  // namespace

void set_tokens(std::span<const int32_t> tokens, std::span<uint32_t> mask) {
  for (const int32_t id : tokens) {
    mask[static_cast<size_t>(id) / 32] |= 1U << (static_cast<uint32_t>(id) % 32);
  }
}

NodeMasker::NodeMasker(const Automaton& automaton, const GrammarVocabulary& vocabulary)
    : vocabulary_(vocabulary),
      walker_(automaton, vocabulary.trie()),
      signatures_(automaton, vocabulary.secret(),
                  std::min<uint32_t>(vocabulary.trie().max_depth(), 255)) {}

std::shared_ptr<const NodeMask> NodeMasker::make(uint32_t node) {
  const Config self = {node, Stacks::kUnknown};
  Stacks stacks;
  TrieWalker::Found found;
  std::optional<NodeSignature> signature;
  if (!walker_.walk({&self, 1}, stacks, found, kCheapWalk)) {
    signature = signatures_.read(node);
    if (signature) {
      if (auto kept = vocabulary_.find_mask(*signature)) return kept;
    }
    found = {};
    walker_.walk({&self, 1}, stacks, found);
  }
  auto made = std::make_shared<NodeMask>();
  made->returns = std::move(found.returns);
  if (found.tokens.size() < vocabulary_.n_words()) {
    made->tokens = std::move(found.tokens);
    made->tokens.shrink_to_fit();
  } else {
    made->words.assign(vocabulary_.n_words(), 0);
    set_tokens(found.tokens, made->words);
  }
  if (signature) vocabulary_.keep_mask(*signature, made);
  return made;
}

}  // namespace lapidary
