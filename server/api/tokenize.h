// POST /tokenize and /detokenize, as vLLM has them: a text or a conversation to token ids, and
// back.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_tokenize(const HttpRequest& http, const Service& service);
HttpResponse handle_detokenize(const HttpRequest& http, const Service& service);

}  // namespace lapidary
