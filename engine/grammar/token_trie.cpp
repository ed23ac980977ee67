#include "engine/grammar/token_trie.h"

#include <algorithm>

#include "kernels/check.h"

namespace lapidary {

TokenTrie::TokenTrie(std::vector<std::pair<std::string, int32_t>> tokens) {
  std::erase_if(tokens, [](const auto& token) { return token.first.empty(); });
  std::sort(tokens.begin(), tokens.end());
  std::vector<uint32_t> path = {0};  // the nodes from the root to the last token's
  std::string_view last;
  token_begins_ = {0};
  for (const auto& [text, id] : tokens) {
    CHECK(text.size() < UINT16_MAX);
    size_t shared = 0;
    while (shared < last.size() && shared < text.size() && last[shared] == text[shared]) ++shared;
    while (path.size() > shared + 1) {
      ends_[path.back()] = size();
      path.pop_back();
    }
    for (size_t i = shared; i < text.size(); ++i) {
      path.push_back(size());
      bytes_.push_back(static_cast<uint8_t>(text[i]));
      depths_.push_back(static_cast<uint16_t>(i + 1));
      ends_.push_back(0);
      token_begins_.push_back(static_cast<uint32_t>(tokens_.size()));
    }
    tokens_.push_back(id);
    max_depth_ = std::max(max_depth_, static_cast<uint32_t>(text.size()));
    last = text;
  }
  for (const uint32_t node : path) ends_[node] = size();
  token_begins_.push_back(static_cast<uint32_t>(tokens_.size()));
}

}  // namespace lapidary
