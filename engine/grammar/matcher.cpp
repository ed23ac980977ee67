#include "engine/grammar/matcher.h"

#include <bit>
#include <optional>

#include "kernels/check.h"

namespace lapidary {
namespace {

// The only byte that any of them goes on with; nothing when there are several, or a token.
std::optional<uint8_t> only_byte(const Automaton& automaton, std::span<const Config> ready) {
  std::optional<uint8_t> only;
  for (const Config& config : ready) {
    for (const OtherEdge& edge : automaton.others(config.node)) {
      if (!edge.is_call) return std::nullopt;
    }
    for (const ByteEdge& edge : automaton.bytes(config.node)) {
      if (edge.lo != edge.hi || (only && *only != edge.lo)) return std::nullopt;
      only = edge.lo;
    }
  }
  return only;
}

}  // namespace

Matcher::Matcher(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), configs_{{grammar_->automaton().start(), Stacks::kBottom}} {
  note_completion();
}

void Matcher::note_completion() {
  std::vector<Config> returned;
  Stepper stepper(grammar_->automaton());
  is_complete_ = stepper.unwind(configs_, stacks_, returned).bottom;
}

bool Matcher::accept(int32_t token) {
  const GrammarVocabulary& vocabulary = grammar_->vocabulary();
  if (is_ended_ || token < 0 || token >= vocabulary.size()) return false;
  if (vocabulary.is_stop(token)) {
    is_ended_ = is_complete_;
    return is_ended_;
  }
  Stepper stepper(grammar_->automaton());
  const size_t n_cells = stacks_.size();
  std::vector<Config> raw = configs_, ready, next;
  if (vocabulary.is_control(token)) {
    stepper.expand(raw, stacks_, ready);
    stepper.step_token(ready, token, next);
    raw = std::move(next);
  } else {
    const std::string_view bytes = vocabulary.bytes(token);
    if (bytes.empty()) return false;
    for (const char byte : bytes) {
      ready.clear();
      next.clear();
      stepper.expand(raw, stacks_, ready);
      stepper.step(ready, static_cast<uint8_t>(byte), next);
      std::swap(raw, next);
    }
  }
  ready.clear();
  if (raw.empty() || (!stepper.expand(raw, stacks_, ready).bottom && ready.empty())) {
    stacks_.truncate(n_cells);  // nothing, or only calls beyond the limit
    return false;
  }
  configs_ = std::move(raw);
  stacks_.compact(configs_);
  note_completion();
  return true;
}

void Matcher::allowed(std::span<uint32_t> mask) const {
  CHECK(mask.size() == n_words());
  if (is_ended_) {
    for (uint32_t& word : mask) word = 0;
    return;
  }
  Stacks stacks = stacks_;
  grammar_->allow(configs_, stacks, mask);
  if (!is_complete_) return;
  for (const int32_t id : grammar_->vocabulary().stops()) {
    if (id < 0 || id >= grammar_->vocabulary().size()) continue;
    mask[static_cast<size_t>(id) / 32] |= 1U << (static_cast<uint32_t>(id) % 32);
  }
}

std::vector<int32_t> Matcher::forced_tokens(size_t max_tokens) const {
  std::vector<int32_t> forced;
  Matcher ahead = *this;
  std::vector<uint32_t> mask(n_words());
  while (forced.size() < max_tokens && !ahead.is_complete() && !ahead.is_ended()) {
    ahead.allowed(mask);
    int n_allowed = 0;
    size_t word = 0;
    for (size_t i = 0; i < mask.size() && n_allowed < 2; ++i) {
      if (mask[i] == 0) continue;
      n_allowed += std::popcount(mask[i]);
      word = i;
    }
    if (n_allowed != 1) break;
    forced.push_back(static_cast<int32_t>(32 * word) + std::countr_zero(mask[word]));
    CHECK(ahead.accept(forced.back()));
  }
  return forced;
}

std::string Matcher::forced_bytes(size_t max_bytes) const {
  std::string forced;
  if (is_ended_) return forced;
  Stacks stacks = stacks_;
  Stepper stepper(grammar_->automaton());
  std::vector<Config> raw = configs_, ready, next;
  while (forced.size() < max_bytes) {
    ready.clear();
    next.clear();
    if (stepper.expand(raw, stacks, ready).bottom) break;
    const auto byte = only_byte(grammar_->automaton(), ready);
    if (!byte) break;
    forced.push_back(static_cast<char>(*byte));
    stepper.step(ready, *byte, next);
    std::swap(raw, next);
  }
  return forced;
}

}  // namespace lapidary
