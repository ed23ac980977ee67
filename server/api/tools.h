// What a request says of tools: the functions that the model may call, and how. Reads `tools`,
// `tool_choice`, `parallel_tool_calls`, and their predecessors `functions` and `function_call`.
// What the output is held to is only said here; server/api/constraints compiles it. Pure, any
// thread.
#pragma once

#include <string_view>
#include <vector>

#include "server/api/fields.h"
#include "server/dialect/call_parser.h"
#include "server/dialect/chat.h"
#include "server/schema/grammar_compiler.h"

namespace lapidary {

struct ToolRequest {
  std::vector<ToolDeclaration> tools;  // empty: none, or none to be called
  bool is_parallel = true;             // several calls in one answer
  bool is_legacy = false;              // asked for by `functions`, answered by `function_call`

  // What calls are held to; empty: nothing, they are as free as text. Of functions that are not
  // strict, where a call is not asked for, only the name and the form of the arguments.
  std::vector<ToolArguments> callable;
  std::vector<std::string> callable_paths;  // in the request, of each of them
  bool must_call = false;                   // and nothing else may be answered
  int max_calls = GrammarCompiler::kMaxCalls;

  // For the parser of the answer. The request must outlive it.
  CallOptions call_options() const;
};

// Throws ApiError.
ToolRequest parse_tools(const Fields& body);

// The name of a function, in a declaration, a choice or a call. Throws ApiError.
std::string parse_function_name(const Fields& function);

}  // namespace lapidary
