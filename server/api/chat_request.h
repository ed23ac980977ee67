// A chat request, checked and rendered, and its way into the engine. Whatever spelling a client
// used, this is the one form it takes: other front doors write their requests as a chat body and
// come here, so that each check exists once. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/api/chat_prompt.h"
#include "server/api/fields.h"
#include "server/api/generation.h"
#include "server/api/request_params.h"
#include "server/api/service.h"

namespace lapidary {

struct ChatRequest {
  GenerationParams params;
  ChatPrompt prompt;
  std::shared_ptr<const AnswerRules> rules;  // null: the answer is free
};

// `text` is what `body` was parsed from: an answer gives the properties of a schema in the order
// in which they stand there. Without it they are sorted. Throws ApiError.
ChatRequest parse_chat_request(const Fields& body, const Service& service,
                               std::string_view text = {});

// Takes the prompt's tokens. Throws ApiError, also when they do not fit.
std::shared_ptr<Generation> submit_chat(const std::string& request_id, const Service& service,
                                        ChatRequest& chat);

}  // namespace lapidary
