#include "engine/grammar/matcher.h"

#include "kernels/check.h"

namespace lapidary {

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

}  // namespace lapidary
