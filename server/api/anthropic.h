// POST /v1/messages and /v1/messages/count_tokens: the chat endpoint's path in the spelling of
// Anthropic's Messages API. Errors take Anthropic's form where the route says so (http_server.h).
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_anthropic_messages(const HttpRequest& http, const Service& service);

// The tokens of the prompt, as the first would send it to the model.
HttpResponse handle_anthropic_count(const HttpRequest& http, const Service& service);

}  // namespace lapidary
