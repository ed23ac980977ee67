// From what a request asks of its answer to what the engine holds it to: compiles grammars (or
// finds them compiled) and says where they begin. Runs on the request's own thread, never on the
// engine's. Refuses, with ApiError and the path of the keyword, whatever cannot be held to exactly:
// nothing is ever left out.
#pragma once

#include <memory>
#include <optional>

#include "engine/answer_rules.h"
#include "server/api/service.h"
#include "server/api/structured_output.h"
#include "server/api/tools.h"

namespace lapidary {

// How the prompt left the model.
struct ThoughtRoom {
  bool has_thoughts = false;  // a chat: the model may think at all
  bool may_think = false;     // it is asked to
  bool starts_in_thought = false;
  std::optional<int> budget;  // tokens
};

// Null when the answer is free.
std::shared_ptr<const AnswerRules> answer_rules(const StructuredOutput& output,
                                                const ToolRequest& tools, const ThoughtRoom& room,
                                                bool ignore_eos, const Service& service);

}  // namespace lapidary
