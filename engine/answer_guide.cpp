#include "engine/answer_guide.h"

#include <algorithm>
#include <utility>

#include "kernels/check.h"

namespace lapidary {
namespace {

void set_bit(std::span<uint32_t> mask, int32_t id) {
  mask[static_cast<size_t>(id) / 32] |= 1U << (static_cast<uint32_t>(id) % 32);
}

}  // namespace

AnswerGuide::AnswerGuide(std::shared_ptr<const AnswerRules> rules)
    : rules_(std::move(rules)), place_(rules_->answer ? Place::kBefore : Place::kText) {
  if (rules_->starts_in_thought) {
    place_ = Place::kThought;
    has_thought_ = true;
  }
  // Kept although it is only a beginning: masks of the first token come from it.
  if (rules_->answer) matcher_.emplace(rules_->answer);
}

// The token that must come because the budget is spent; -1: none must.
int32_t AnswerGuide::forced_ending() const {
  if (place_ != Place::kThought || has_budget()) return -1;
  const auto& ending = rules_->thought_ending;
  const bool is_there = n_ending_ == 0 && ending.size() > 1 && last_ == ending.front();
  return ending[n_ending_ + (is_there ? 1 : 0)];
}

bool AnswerGuide::needs_mask() const {
  return place_ == Place::kGrammar || place_ == Place::kBefore || forced_ending() >= 0;
}

void AnswerGuide::allow(std::span<uint32_t> mask) const {
  if (const int32_t forced = forced_ending(); forced >= 0) {
    std::fill(mask.begin(), mask.end(), 0U);
    set_bit(mask, forced);
    return;
  }
  matcher_->allowed(mask);
  if (place_ != Place::kBefore) return;
  if (may_open_thought()) set_bit(mask, rules_->thought_open);
  if (rules_->calls) set_bit(mask, rules_->call_open);
}

void AnswerGuide::add_banned(std::vector<int32_t>& ids) const {
  if (place_ == Place::kThought) {
    if (!rules_->answer) return;
    for (const int32_t id : rules_->answer->vocabulary().controls()) {
      if (id != rules_->thought_close) ids.push_back(id);
    }
    return;
  }
  if (rules_->thought_open >= 0 && !has_budget()) ids.push_back(rules_->thought_open);
}

std::span<const int32_t> AnswerGuide::ends() const {
  const auto& grammar = rules_->answer ? rules_->answer : rules_->calls;
  if (!grammar) return {};
  return grammar->vocabulary().stops();
}

bool AnswerGuide::accept(int32_t token) {
  switch (place_) {
    case Place::kThought:
      return accept_in_thought(token);
    case Place::kBefore:
      if (may_open_thought() && token == rules_->thought_open) {
        place_ = Place::kThought;
        has_thought_ = true;
        return true;
      }
      if (calls_at(token)) return begin(rules_->calls, token);
      place_ = Place::kGrammar;
      return matcher_->accept(token);
    case Place::kText:
      if (rules_->thought_open >= 0 && token == rules_->thought_open) place_ = Place::kThought;
      return !calls_at(token) || begin(rules_->calls, token);
    case Place::kGrammar:
      break;
  }
  return matcher_->accept(token);
}

bool AnswerGuide::begin(const std::shared_ptr<const Grammar>& grammar, int32_t first) {
  matcher_.emplace(grammar);
  place_ = Place::kGrammar;
  return matcher_->accept(first);
}

bool AnswerGuide::accept_in_thought(int32_t token) {
  if (token == rules_->thought_close) {
    place_ = rules_->answer ? Place::kBefore : Place::kText;
    n_ending_ = 0;
    return true;
  }
  // A call ends a thought that nothing constrained is to follow.
  if (!rules_->answer && calls_at(token)) return begin(rules_->calls, token);
  if (!has_budget()) ++n_ending_;
  ++n_thought_;
  last_ = token;
  return true;
}

}  // namespace lapidary
