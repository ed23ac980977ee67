// From a request's conversation to the model's prompt: messages, tools, thinking, the template's
// switches. Shared by the chat endpoint and /tokenize, so that what /tokenize shows is what would
// run. Pure, any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/api/constraints.h"
#include "server/api/fields.h"
#include "server/api/service.h"
#include "server/api/tools.h"

namespace lapidary {

struct ChatPrompt {
  std::vector<int32_t> tokens;
  std::vector<MediaSpan> media;
  ThoughtRoom thoughts;
  bool include_reasoning = true;             // in the answer
  std::shared_ptr<const ToolRequest> tools;  // never null
};

// Reads messages, what belongs to tools, chat_template_kwargs, reasoning_effort, reasoning,
// thinking_token_budget, include_reasoning, add_generation_prompt, continue_final_message and
// mm_processor_kwargs. Decodes images.
// Throws ApiError.
ChatPrompt parse_chat_prompt(const Fields& body, const Service& service);

}  // namespace lapidary
