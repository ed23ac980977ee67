#include "server/api/tokenize.h"

#include <string>
#include <vector>

#include "server/api/answer_format.h"
#include "server/api/chat_prompt.h"
#include "server/api/fields.h"
#include "server/api/json_text.h"
#include "server/api/request_params.h"
#include "server/api/unsupported_fields.h"

namespace lapidary {
namespace {

// Optional here: there is one model.
void check_model(const Fields& body, const Service& service) {
  const auto model = body.text("model", 256);
  if (model && !service.serves(*model)) throw api_error::model_not_found(*model);
}

std::vector<int32_t> tokens_of(const Fields& body, const Service& service) {
  if (body.find("messages") != nullptr) {
    refuse_unsupported_fields(body);
    return parse_chat_prompt(body, service).tokens;
  }
  const auto prompt = body.text("prompt", service.options.max_body_bytes);
  if (!prompt) throw api_error::missing_parameter("prompt");
  std::vector<int32_t> tokens;
  if (body.boolean("add_special_tokens").value_or(true)) tokens.push_back(service.dialect.bos);
  service.tokenizer.encode(*prompt, tokens);
  return tokens;
}

}  // namespace

HttpResponse handle_tokenize(const HttpRequest& http, const Service& service) {
  const nlohmann::json json = service.parse(http.body);
  const Fields body(json);
  check_model(body, service);
  const bool with_strings = body.boolean("return_token_strs").value_or(false);
  const std::vector<int32_t> tokens = tokens_of(body, service);
  HttpResponse response;
  std::string& out = response.body;
  out = "{\"count\":";
  append_json_integer(out, static_cast<int64_t>(tokens.size()));
  out += ",\"max_model_len\":";
  append_json_integer(out, service.options.max_model_len);
  out += ",\"tokens\":";
  append_token_ids(out, tokens);
  out += ",\"token_strs\":";
  if (with_strings) {
    out += '[';
    for (const int32_t id : tokens) {
      if (out.back() != '[') out += ',';
      append_json_string(out, service.tokenizer.token_text(id));
    }
    out += ']';
  } else {
    out += "null";
  }
  out += '}';
  return response;
}

HttpResponse handle_detokenize(const HttpRequest& http, const Service& service) {
  const nlohmann::json json = service.parse(http.body);
  const Fields body(json);
  check_model(body, service);
  const nlohmann::json* list = body.array("tokens", 0, SIZE_MAX);
  if (list == nullptr) throw api_error::missing_parameter("tokens");
  const auto tokens = parse_token_ids(*list, "tokens", service.config.vocab);
  HttpResponse response;
  response.body = "{\"prompt\":";
  append_json_string(response.body, service.tokenizer.decode(tokens, /*skip_control=*/false));
  response.body += '}';
  return response;
}

}  // namespace lapidary
