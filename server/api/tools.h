// What a request says of tools: the functions that the model may call, and how. Reads `tools`,
// `tool_choice`, `parallel_tool_calls`, and their predecessors `functions` and `function_call`.
// What would need the model's output to be constrained is checked like the rest and then refused,
// in one place (refuse_constraint). Pure, any thread.
#pragma once

#include <string_view>
#include <vector>

#include "server/api/fields.h"
#include "server/dialect/call_parser.h"
#include "server/dialect/chat.h"

namespace lapidary {

struct ToolRequest {
  std::vector<ToolDeclaration> tools;  // empty: none, or none to be called
  bool is_parallel = true;             // several calls in one answer
  bool is_legacy = false;              // asked for by `functions`, answered by `function_call`

  // For the parser of the answer. The request must outlive it.
  CallOptions call_options() const;
};

// Throws ApiError.
ToolRequest parse_tools(const Fields& body);

// The name of a function, in a declaration, a choice or a call. Throws ApiError.
std::string parse_function_name(const Fields& function);

}  // namespace lapidary
