#include "engine/grammar/grammar_vocabulary.h"

#include <algorithm>
#include <random>

#include "engine/text/tokenizer.h"

namespace lapidary {
namespace {

std::vector<GrammarVocabulary::Entry> entries_of(const Tokenizer& tokenizer) {
  std::vector<GrammarVocabulary::Entry> entries;
  entries.reserve(static_cast<size_t>(tokenizer.vocab_size()));
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    entries.push_back({std::string(tokenizer.token_bytes(id)), tokenizer.is_control(id)});
  }
  return entries;
}

}  // namespace

GrammarVocabulary::GrammarVocabulary(const std::vector<Entry>& entries, std::vector<int32_t> stops)
    : stops_(std::move(stops)) {
  std::vector<std::pair<std::string, int32_t>> tokens;
  tokens.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    texts_ += entries[i].bytes;
    ends_.push_back(static_cast<uint32_t>(texts_.size()));
    is_control_.push_back(entries[i].is_control || is_stop(id));
    if (is_control_.back()) {
      controls_.push_back(id);
      control_ids_.emplace(entries[i].bytes, id);
    } else {
      tokens.emplace_back(entries[i].bytes, id);
    }
  }
  trie_ = TokenTrie(std::move(tokens));
  std::random_device device;
  for (uint64_t& word : secret_) word = (uint64_t{device()} << 32) | device();
}

GrammarVocabulary::GrammarVocabulary(const Tokenizer& tokenizer, std::vector<int32_t> stops)
    : GrammarVocabulary(entries_of(tokenizer), std::move(stops)) {}

std::string_view GrammarVocabulary::bytes(int32_t id) const {
  if (id < 0 || id >= size() || is_control(id)) return {};
  const auto i = static_cast<size_t>(id);
  return std::string_view(texts_).substr(ends_[i], ends_[i + 1] - ends_[i]);
}

bool GrammarVocabulary::is_stop(int32_t id) const {
  return std::find(stops_.begin(), stops_.end(), id) != stops_.end();
}

std::optional<int32_t> GrammarVocabulary::control_id(std::string_view text) const {
  const auto at = control_ids_.find(std::string(text));
  if (at == control_ids_.end()) return std::nullopt;
  return at->second;
}

std::shared_ptr<const NodeMask> GrammarVocabulary::find_mask(const NodeSignature& signature) const {
  const std::lock_guard lock(mutex_);
  const auto at = kept_.find(signature);
  return at == kept_.end() ? nullptr : at->second;
}

// Full means: start again. Grammars in use hold their own masks, and what they share is soon back.
void GrammarVocabulary::keep_mask(const NodeSignature& signature,
                                  std::shared_ptr<const NodeMask> mask) const {
  const std::lock_guard lock(mutex_);
  if (kept_bytes_ + mask->bytes() > kMaxKeptBytes) {
    kept_.clear();
    kept_bytes_ = 0;
  }
  const size_t bytes = mask->bytes();
  if (kept_.emplace(signature, std::move(mask)).second) kept_bytes_ += bytes;
}

}  // namespace lapidary
