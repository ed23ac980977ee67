// POST /v1/chat/completions: the whole path of a request. Read this one first.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_chat_completions(const HttpRequest& http, const Service& service);

}  // namespace lapidary
