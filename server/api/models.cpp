#include "server/api/models.h"

#include <string>
#include <string_view>

#include "server/api/api_error.h"
#include "server/api/json_text.h"

namespace lapidary {
namespace {

constexpr std::string_view kPrefix = "/v1/models/";

void append_model(std::string& out, const std::string& name, const Service& service) {
  out += "{\"id\":";
  append_json_string(out, name);
  out += ",\"object\":\"model\",\"created\":";
  append_json_integer(out, service.options.created);
  out += ",\"owned_by\":\"lapidary\",\"root\":";
  append_json_string(out, service.options.model_names.front());
  out += ",\"parent\":null,\"max_model_len\":";
  append_json_integer(out, service.options.max_model_len);
  out += '}';
}

}  // namespace

HttpResponse handle_models(const HttpRequest&, const Service& service) {
  HttpResponse response;
  response.body = "{\"object\":\"list\",\"data\":[";
  for (const std::string& name : service.options.model_names) {
    if (response.body.back() != '[') response.body += ',';
    append_model(response.body, name, service);
  }
  response.body += "]}";
  return response;
}

HttpResponse handle_model(const HttpRequest& http, const Service& service) {
  const std::string name = http.path.substr(kPrefix.size());
  if (!service.serves(name)) throw api_error::model_not_found(name);
  HttpResponse response;
  append_model(response.body, name, service);
  return response;
}

}  // namespace lapidary
