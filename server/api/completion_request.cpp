#include "server/api/completion_request.h"

#include <algorithm>
#include <utility>

#include "server/api/constraints.h"
#include "server/api/structured_output.h"
#include "server/api/unsupported_fields.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxPrompts = 64;
constexpr size_t kMaxChoices = 128;  // of all prompts
constexpr int kDefaultMaxTokens = 16;

CompletionPrompt from_text(const std::string& text, bool add_bos, const Service& service,
                           const std::string& path) {
  CompletionPrompt prompt;
  if (add_bos) prompt.tokens.push_back(service.dialect.bos);
  service.tokenizer.encode(text, prompt.tokens);
  if (prompt.tokens.empty()) throw api_error::invalid_value(path, "the prompt has no tokens.");
  prompt.text = text;
  return prompt;
}

CompletionPrompt from_ids(const Json& ids, const Service& service, const std::string& path) {
  if (ids.empty()) throw api_error::array_too_short(path, 1, 0);
  CompletionPrompt prompt;
  prompt.tokens = parse_token_ids(ids, path, service.config.vocab);
  for (int32_t placeholder : service.config.ids.placeholders) {
    if (std::find(prompt.tokens.begin(), prompt.tokens.end(), placeholder) != prompt.tokens.end()) {
      throw api_error::invalid_value(
          path, "token " + std::to_string(placeholder) + " stands for media that is not given.");
    }
  }
  prompt.text = service.tokenizer.decode(prompt.tokens, /*skip_control=*/true);
  return prompt;
}

std::vector<CompletionPrompt> parse_prompts(const Fields& body, const Service& service) {
  const bool add_bos = body.boolean("add_special_tokens").value_or(true);
  const Json* prompt = body.find("prompt");
  if (prompt == nullptr) throw api_error::missing_parameter("prompt");
  if (prompt->is_string()) {
    return {from_text(prompt->get_ref<const std::string&>(), add_bos, service, "prompt")};
  }
  if (!prompt->is_array()) {
    throw api_error::invalid_type("prompt", "a string or an array", type_name(*prompt));
  }
  if (prompt->empty()) throw api_error::array_too_short("prompt", 1, 0);
  if (prompt->front().is_number()) return {from_ids(*prompt, service, "prompt")};
  check_array(*prompt, "prompt", 1, kMaxPrompts);
  std::vector<CompletionPrompt> prompts;
  for (size_t i = 0; i < prompt->size(); ++i) {
    const Json& item = (*prompt)[i];
    const std::string path = "prompt[" + std::to_string(i) + "]";
    if (item.is_string()) {
      prompts.push_back(from_text(item.get_ref<const std::string&>(), add_bos, service, path));
    } else if (item.is_array()) {
      prompts.push_back(from_ids(item, service, path));
    } else {
      throw api_error::invalid_type(path, "a string or an array of token ids", type_name(item));
    }
  }
  return prompts;
}

}  // namespace

CompletionRequest parse_completion_request(const Fields& body, const std::string& text,
                                           const Service& service) {
  CompletionRequest request;
  refuse_chat_fields(body);
  request.echo = body.boolean("echo").value_or(false);
  request.params = parse_generation_params(body, service, request.echo ? 0 : 1);
  if (!request.params.max_tokens) request.params.max_tokens = kDefaultMaxTokens;
  if (const auto top = body.integer("logprobs", 0, 20)) {
    request.logprobs = true;
    request.params.sampling.n_logprobs = static_cast<int>(*top);
  }
  request.prompts = parse_prompts(body, service);
  if (request.prompts.size() * static_cast<size_t>(request.params.n) > kMaxChoices) {
    throw api_error::invalid_value(
        "n", "at most " + std::to_string(kMaxChoices) + " choices over all prompts are served.");
  }
  request.rules = answer_rules(parse_structured_output(body, text), ToolRequest{}, ThoughtRoom{},
                               request.params.ignore_eos, service);
  return request;
}

}  // namespace lapidary
