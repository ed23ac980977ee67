#include "server/api/routes.h"

#include "server/api/anthropic.h"
#include "server/api/chat_completions.h"
#include "server/api/completions.h"
#include "server/api/health.h"
#include "server/api/models.h"
#include "server/api/responses.h"
#include "server/api/tokenize.h"

namespace lapidary {

void add_routes(HttpServer& server, const Service& service) {
  using Endpoint = HttpResponse (*)(const HttpRequest&, const Service&);
  const auto add = [&](const char* method, const char* path, Endpoint endpoint,
                       ErrorForm form = ErrorForm::openai) {
    server.route(
        method, path,
        [endpoint, &service](const HttpRequest& request) { return endpoint(request, service); },
        form);
  };
  add("POST", "/v1/chat/completions", handle_chat_completions);
  add("POST", "/v1/completions", handle_completions);
  add("POST", "/v1/responses", handle_responses);
  add("POST", "/v1/messages", handle_anthropic_messages, ErrorForm::anthropic);
  add("POST", "/v1/messages/count_tokens", handle_anthropic_count, ErrorForm::anthropic);
  add("GET", "/v1/models", handle_models);
  add("GET", "/v1/models/*", handle_model);
  add("POST", "/tokenize", handle_tokenize);
  add("POST", "/detokenize", handle_detokenize);
  add("GET", "/health", handle_health);
  add("GET", "/ready", handle_ready);
  add("GET", "/version", handle_version);
}

}  // namespace lapidary
