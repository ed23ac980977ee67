// GET /health: the process answers. GET /ready: it takes requests (503 while it drains), with what
// the engine is doing. GET /version.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_health(const HttpRequest& http, const Service& service);
HttpResponse handle_ready(const HttpRequest& http, const Service& service);
HttpResponse handle_version(const HttpRequest& http, const Service& service);

}  // namespace lapidary
