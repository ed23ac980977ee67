// The table of endpoints: which path is answered by which handler.
#pragma once

#include "server/api/service.h"
#include "server/http/http_server.h"

namespace lapidary {

// The service must outlive the server.
void add_routes(HttpServer& server, const Service& service);

}  // namespace lapidary
