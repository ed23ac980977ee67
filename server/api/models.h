// GET /v1/models and /v1/models/{id}: the one model under all its names.
#pragma once

#include "server/api/service.h"
#include "server/http/http_types.h"

namespace lapidary {

HttpResponse handle_models(const HttpRequest& http, const Service& service);
HttpResponse handle_model(const HttpRequest& http, const Service& service);

}  // namespace lapidary
