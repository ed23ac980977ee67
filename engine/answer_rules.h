// What an answer may be: grammars, where they begin, and how long the model may think before. Part
// of a Request: plain data, immutable once submitted, shared by the choices. Read by AnswerGuide on
// the engine thread. The tokens of thoughts and calls come from the server, so that the engine
// knows integers only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/grammar/grammar.h"

namespace lapidary {

struct AnswerRules {
  // The whole answer, from its first token behind the thought. Null: free text.
  std::shared_ptr<const Grammar> answer;
  // Calls of tools: from `call_open` on, which it begins with, up to the answer's end. The token
  // may come anywhere in a free text, and first where there is an `answer` too. Null: calls are
  // text.
  std::shared_ptr<const Grammar> calls;
  int32_t call_open = -1;

  // Where the grammar may go on, it goes on: the end of a turn is taken only where nothing else is
  // possible (ignore_eos).
  bool avoids_end = false;

  // Thoughts; -1: there are none, the two tokens mean nothing.
  int32_t thought_open = -1, thought_close = -1;
  bool starts_in_thought = false;  // the prompt ends inside one
  bool may_think = false;          // one may be opened before `answer`
  int thought_budget = -1;         // tokens inside thoughts, all together; -1: no limit
  // What ends a thought at the budget, token by token; the last one is thought_close. The first is
  // left out where the thought ends with it already (a new line).
  std::vector<int32_t> thought_ending;
};

}  // namespace lapidary
