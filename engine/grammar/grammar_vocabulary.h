// A tokenizer as grammars see it: the trie of its ordinary tokens, its control tokens, the ids that
// end a turn, and the masks that grammars have in common. Made once at start, outlives its
// grammars; every member may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/grammar/token_trie.h"

namespace lapidary {

class Tokenizer;

// Which tokens a node of an automaton allows by itself, whatever is around it.
struct NodeMask {
  std::vector<uint32_t> words;    // [n_words] or empty
  std::vector<int32_t> tokens;    // the same as a list, where that is shorter
  std::vector<uint32_t> returns;  // trie nodes at which the node's rule ends, but tokens go on
  size_t bytes() const { return 4 * (words.size() + tokens.size() + returns.size()) + 128; }
};

using NodeSignature = std::array<uint64_t, 2>;

class GrammarVocabulary {
 public:
  struct Entry {
    std::string bytes;
    bool is_control = false;
  };

  // Entry i is the token i. `stops` end an answer that is complete.
  GrammarVocabulary(const std::vector<Entry>& entries, std::vector<int32_t> stops);
  GrammarVocabulary(const Tokenizer& tokenizer, std::vector<int32_t> stops);

  int32_t size() const { return static_cast<int32_t>(ends_.size()) - 1; }
  size_t n_words() const { return (static_cast<size_t>(size()) + 31) / 32; }
  const TokenTrie& trie() const { return trie_; }
  // Nothing for control tokens and ids outside.
  std::string_view bytes(int32_t id) const;
  bool is_control(int32_t id) const {
    return id >= 0 && id < size() && is_control_[static_cast<size_t>(id)];
  }
  // All of them, the stops among them.
  const std::vector<int32_t>& controls() const { return controls_; }
  const std::vector<int32_t>& stops() const { return stops_; }
  bool is_stop(int32_t id) const;
  std::optional<int32_t> control_id(std::string_view text) const;

  std::shared_ptr<const NodeMask> find_mask(const NodeSignature& signature) const;
  void keep_mask(const NodeSignature& signature, std::shared_ptr<const NodeMask> mask) const;
  // What signatures begin with: unknown to clients, so that none can be made to collide.
  const NodeSignature& secret() const { return secret_; }

  static constexpr size_t kMaxKeptBytes = size_t{128} << 20;

 private:
  struct SignatureHash {
    size_t operator()(const NodeSignature& s) const { return static_cast<size_t>(s[0]); }
  };

  TokenTrie trie_;
  std::string texts_;
  std::vector<uint32_t> ends_{0};
  std::vector<bool> is_control_;
  std::vector<int32_t> controls_;
  std::unordered_map<std::string, int32_t> control_ids_;
  std::vector<int32_t> stops_;
  NodeSignature secret_{};
  mutable std::mutex mutex_;  // guards the two below
  mutable std::unordered_map<NodeSignature, std::shared_ptr<const NodeMask>, SignatureHash> kept_;
  mutable size_t kept_bytes_ = 0;
};

}  // namespace lapidary
