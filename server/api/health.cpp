#include "server/api/health.h"

#include <string>

#include "server/api/json_text.h"

namespace lapidary {

HttpResponse handle_health(const HttpRequest&, const Service&) {
  HttpResponse response;
  response.body = "{\"status\":\"ok\"}";
  return response;
}

HttpResponse handle_ready(const HttpRequest&, const Service& service) {
  const EngineStats stats = service.stats();
  HttpResponse response;
  std::string& out = response.body;
  out = service.draining ? "{\"status\":\"draining\"" : "{\"status\":\"ready\"";
  const auto add = [&](const char* name, int64_t value) {
    out += ",\"";
    out += name;
    out += "\":";
    append_json_integer(out, value);
  };
  add("running", stats.running);
  add("waiting", stats.waiting);
  add("pages_total", stats.pages_total);
  add("pages_free", stats.pages_free);
  add("steps", stats.steps);
  add("prompt_tokens", stats.prompt_tokens);
  add("generated_tokens", stats.generated_tokens);
  add("preemptions", stats.preemptions);
  out += '}';
  if (service.draining) {
    response.status = 503;
    response.headers.emplace_back("Retry-After", "1");
  }
  return response;
}

HttpResponse handle_version(const HttpRequest&, const Service&) {
  HttpResponse response;
  response.body = "{\"version\":\"" LAPIDARY_VERSION "\"}";
  return response;
}

}  // namespace lapidary
