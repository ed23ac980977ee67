// The request of /v1/completions. Plain data once parsed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  std::vector<CompletionPrompt> prompts;  // never empty
};

// Throws ApiError.
CompletionRequest parse_completion_request(const Fields& body, const Service& service);

}  // namespace lapidary
