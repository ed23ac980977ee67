// What the server would have sent for a given output of the model, without running one: for people
// who look into a model's answers, and for comparing parsers. `lapidary parse` reads and writes it.
// Pure, any thread.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "server/api/service.h"

namespace lapidary {

// `record` has
//   token_ids or text      the output; control tokens count as such in the text, too
//   prompt_tail            the end of the prompt as text: whether it ends inside an open thought
//   tools, tool_choice, parallel_tool_calls, functions, include_reasoning   as in a request
//   thinking               accepted; what the model may do does not change what it did
//   finish_reason          "stop" (default) or "length": why an output without a stop token ends
//   chunks                 sizes in tokens: deltas are put together accordingly; default: 1 each
// and the answer is {"message":...,"finish_reason":...,"deltas":[...]}. Throws ApiError.
std::string parse_output(const nlohmann::json& record, const Service& service);

}  // namespace lapidary
