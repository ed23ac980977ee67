// The tools' side of a conversation: the calls that the assistant made, and that each of them is
// answered. Pure, any thread.
#pragma once

#include <string>
#include <vector>

#include "server/api/fields.h"
#include "server/dialect/chat.h"

namespace lapidary {

// `tool_calls` of an assistant's message, or its older form `function_call`. Throws ApiError.
std::vector<ToolCall> parse_tool_calls(const Fields& message);

// Which call a message of role `tool`, or in the older form `function`, answers. Throws ApiError.
std::string parse_tool_call_id(const Fields& message, bool is_legacy);

// Every result answers a call of the assistant's message before it, and every call is answered;
// those of the last message need not be if nothing is generated behind it. Throws ApiError.
void check_tool_results(const std::vector<ChatMessage>& messages, bool generates);

}  // namespace lapidary
