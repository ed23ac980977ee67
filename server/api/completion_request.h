// The request of /v1/completions. Plain data once parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/answer_rules.h"
#include "server/api/fields.h"
#include "server/api/request_params.h"
#include "server/api/service.h"

namespace lapidary {

struct CompletionPrompt {
  std::vector<int32_t> tokens;  // never empty
  std::string text;             // what `echo` gives back
};

struct CompletionRequest {
  GenerationParams params;
  bool echo = false;
  bool logprobs = false;
  std::vector<CompletionPrompt> prompts;     // never empty
  std::shared_ptr<const AnswerRules> rules;  // null: the answer is free
};

// `text` is what `body` was parsed from. Throws ApiError.
CompletionRequest parse_completion_request(const Fields& body, const std::string& text,
                                           const Service& service);

}  // namespace lapidary
