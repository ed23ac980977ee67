// The JSON text of a chat answer's parts: the message of a whole one, the deltas of a stream.
// Shared by the chat endpoint and `lapidary parse`. Pure functions, any thread.
#pragma once

#include <string>

#include "server/api/answer_sink.h"
#include "server/api/choice_assembler.h"
#include "server/api/service.h"

namespace lapidary {

struct ChatShape {
  ReasoningField reasoning_field = ReasoningField::reasoning_content;
  bool is_legacy = false;  // a call is a `function_call`
};

// "stop", "length", "tool_calls" or "function_call", with quotes; null.
const char* chat_finish_text(FinishReason finish, bool has_calls, const ChatShape& shape);

// {"role":"assistant","content":...,...}
void append_message(std::string& out, const WholeChoice& choice, const ChatShape& shape);

// Deltas, as clients put them together: text and reasoning of one, then each call's beginning (id,
// type, name and empty arguments), then a piece of its arguments. Objects with their braces.
void append_role_delta(std::string& out);
void append_text_delta(std::string& out, const ChoiceDelta& delta, const ChatShape& shape);
void append_call_start(std::string& out, const ToolCallDelta& call, const ChatShape& shape);
void append_call_arguments(std::string& out, const ToolCallDelta& call, const ChatShape& shape);

// Calls write(append) for each delta that a chunk is to carry, in order; append(out) writes it.
template <typename Write>
void for_each_delta(const ChoiceDelta& delta, const ChatShape& shape, const Write& write) {
  const bool has_text = !delta.content.empty() || !delta.reasoning.empty();
  if (has_text || delta.calls.empty()) {
    write([&](std::string& out) { append_text_delta(out, delta, shape); });
  }
  for (const ToolCallDelta& call : delta.calls) {
    if (!call.name.empty()) {
      write([&](std::string& out) { append_call_start(out, call, shape); });
    }
    if (!call.arguments.empty()) {
      write([&](std::string& out) { append_call_arguments(out, call, shape); });
    }
  }
}

}  // namespace lapidary
