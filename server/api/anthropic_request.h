// The body of /v1/messages as a chat body. What both spell alike stays where it is, for the shared
// checks to find; what they spell differently is moved; what is not served is refused by name.
// `cache_control` is taken anywhere: what it asks for happens to every prompt. Pure, any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "server/api/field_origins.h"

namespace lapidary {

struct AnthropicRequest {
  nlohmann::json chat;
  FieldOrigins origins;      // of the chat body's fields
  bool was_clamped = false;  // max_tokens was more than any context of this server
};

// `counts`: only the prompt is of interest, there need be no max_tokens. Throws ApiError with paths
// of the client's body.
AnthropicRequest translate_anthropic(nlohmann::json body, int max_model_len, bool counts);

}  // namespace lapidary
