// POST /v1/responses: the chat endpoint's path in the spelling of OpenAI's Responses API.
// Stateless: nothing is stored, whatever `store` says.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_responses(const HttpRequest& http, const Service& service);

}  // namespace lapidary
