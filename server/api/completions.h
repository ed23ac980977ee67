// POST /v1/completions: plain continuation of a prompt. Text gets the BOS token in front; token
// ids are taken as they are. Several prompts are several requests to the engine in one answer.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_completions(const HttpRequest& http, const Service& service);

}  // namespace lapidary
