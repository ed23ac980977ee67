// Where one choice stands in its AnswerRules, and so which tokens may come next. A value: a copy
// forks the answer. Owned by a Sequence, engine thread only.
//
// While the model thinks nothing is constrained, but where a constrained answer is to follow: there
// no control token may come but the one that closes the thought, since any other would end it, and
// with it the answer, before the answer began.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/answer_rules.h"
#include "engine/grammar/matcher.h"

namespace lapidary {

class AnswerGuide {
 public:
  // REQUIRES: not null.
  explicit AnswerGuide(std::shared_ptr<const AnswerRules> rules);

  // Whether the next token is one of a set; otherwise it may be any but those of add_banned().
  bool needs_mask() const;
  // Sets bit t % 32 of word t / 32 for each token of the set. REQUIRES: needs_mask(); as many words
  // as the vocabulary takes. All clear: the limits of a grammar's stacks left nothing to go on
  // with.
  void allow(std::span<uint32_t> mask) const;
  // Adds the tokens that may not come. REQUIRES: !needs_mask().
  void add_banned(std::vector<int32_t>& ids) const;
  // The ends of a turn that allow() may have set; min_tokens and avoids_end hold them back.
  std::span<const int32_t> ends() const;
  bool avoids_end() const { return rules_->avoids_end; }

  // The token that was drawn, one that allow() had set. False: the answer cannot go on, as what
  // would have taken it fell to the limits of a grammar's stacks; not to be used any more.
  [[nodiscard]] bool accept(int32_t token);
  // Something held to a grammar is not over, or is still to come: nothing but the grammar ends it.
  bool holds_answer() const {
    if (place_ == Place::kGrammar) return !is_ended();
    return rules_->answer && place_ != Place::kText;
  }
  // The grammar has ended and with it the answer.
  bool is_ended() const { return matcher_ && matcher_->is_ended(); }

 private:
  enum class Place {
    kThought,
    kBefore,   // a constrained answer has not begun
    kText,     // free text
    kGrammar,  // in `matcher_`
  };

  bool has_budget() const {
    return rules_->thought_budget < 0 || n_thought_ < rules_->thought_budget;
  }
  bool may_open_thought() const { return rules_->may_think && !has_thought_ && has_budget(); }
  bool calls_at(int32_t token) const { return rules_->calls && token == rules_->call_open; }
  int32_t forced_ending() const;
  bool begin(const std::shared_ptr<const Grammar>& grammar, int32_t first);
  bool accept_in_thought(int32_t token);

  std::shared_ptr<const AnswerRules> rules_;
  Place place_;
  std::optional<Matcher> matcher_;
  bool has_thought_ = false;  // a thought before the answer was opened
  int n_thought_ = 0;         // tokens inside thoughts
  int32_t last_ = -1;         // the last of them
  size_t n_ending_ = 0;       // tokens of thought_ending that are done with
};

}  // namespace lapidary
