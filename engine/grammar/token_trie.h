// A vocabulary's ordinary tokens as a tree of bytes, in preorder: the subtree of a node is the run
// of nodes up to end(node). Node 0 is the root. Immutable; read by any thread.
// Tokens with no bytes are left out: they would match without a step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lapidary {

class TokenTrie {
 public:
  TokenTrie() = default;
  // (bytes, id) of each token, in any order; several may have the same bytes.
  explicit TokenTrie(std::vector<std::pair<std::string, int32_t>> tokens);

  uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }
  uint8_t byte(uint32_t node) const { return bytes_[node]; }
  uint32_t depth(uint32_t node) const { return depths_[node]; }
  uint32_t end(uint32_t node) const { return ends_[node]; }
  bool has_children(uint32_t node) const { return ends_[node] > node + 1; }
  std::span<const int32_t> tokens(uint32_t node) const {
    return {tokens_.data() + token_begins_[node], tokens_.data() + token_begins_[node + 1]};
  }
  // The length of the longest token.
  uint32_t max_depth() const { return max_depth_; }

 private:
  std::vector<uint8_t> bytes_{0};
  std::vector<uint16_t> depths_{0};
  std::vector<uint32_t> ends_{1};
  std::vector<uint32_t> token_begins_{0, 0};
  std::vector<int32_t> tokens_;
  uint32_t max_depth_ = 0;
};

}  // namespace lapidary
