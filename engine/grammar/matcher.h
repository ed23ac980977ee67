// Where one answer stands in its grammar. A value: copying it forks the answer, keeping a copy
// undoes one. Owned by the thread that samples; many matchers share one Grammar.
// Refuses tokens that its grammar does not allow; from then on nothing has changed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/grammar/grammar.h"

namespace lapidary {

class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const Grammar> grammar);

  // False, and nothing is changed: the token is not allowed here. The tokens that end a turn are
  // allowed exactly when the grammar is complete; nothing is allowed behind them.
  bool accept(int32_t token);
  // Exactly the tokens that accept() would take: bit t % 32 of word t / 32. [n_words()]
  // All clear only when the answer is ended, or when a limit of Stacks left nothing to go on with.
  void allowed(std::span<uint32_t> mask) const;
  size_t n_words() const { return grammar_->vocabulary().n_words(); }

  // The answer may end here.
  bool is_complete() const { return is_complete_; }
  // It has ended: a token that ends a turn was accepted.
  bool is_ended() const { return is_ended_; }

 private:
  void note_completion();

  std::shared_ptr<const Grammar> grammar_;
  Stacks stacks_;
  std::vector<Config> configs_;
  bool is_complete_ = false;
  bool is_ended_ = false;
};

}  // namespace lapidary
