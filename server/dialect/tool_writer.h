// Tools in Gemma's own syntax, as Google's chat template of 2026-07-09 writes it, byte for byte:
// what a model may call, what it called, what came back. Keys stand in Python's `dictsort` order.
// Pure functions, any thread.
//   <|tool>declaration:NAME{description:"...",parameters:{properties:{...},type:"OBJECT"}}<tool|>
//   <|tool_call>call:NAME{key:value,...}<tool_call|>
//   <|tool_response>response:NAME{value:"..."}<tool_response|>
// where each quote above is the control token <|"|>.
#pragma once

#include <string_view>

#include "server/dialect/chat.h"
#include "server/dialect/prompt_writer.h"

namespace lapidary {

void write_declaration(const ToolDeclaration& tool, PromptWriter& writer);
void write_call(const ToolCall& call, PromptWriter& writer);
// Results are text: what a tool answers is not parsed, even where it is JSON.
void write_response(std::string_view name, std::string_view result, PromptWriter& writer);

}  // namespace lapidary
