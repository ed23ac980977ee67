#include "server/api/chat_request.h"

#include <utility>
#include <vector>

#include "server/api/constraints.h"
#include "server/api/structured_output.h"

namespace lapidary {
namespace {

// logprobs is a switch here, top_logprobs the number.
void parse_logprobs(const Fields& body, SamplingParams& sampling) {
  const bool wanted = body.boolean("logprobs").value_or(false);
  const auto top = body.integer("top_logprobs", 0, 20);
  if (!wanted && top.value_or(0) > 0) {
    throw api_error::invalid_value("top_logprobs", "it needs 'logprobs' to be true.");
  }
  if (wanted) sampling.n_logprobs = static_cast<int>(top.value_or(0));
}

}  // namespace

ChatRequest parse_chat_request(const Fields& body, const Service& service, std::string_view text) {
  ChatRequest request;
  request.params = parse_generation_params(body, service, 1);
  parse_logprobs(body, request.params.sampling);
  if (body.boolean("echo").value_or(false)) {
    throw api_error::unsupported_parameter("echo", "It belongs to /v1/completions.");
  }
  const StructuredOutput output = parse_structured_output(body, text);
  request.prompt = parse_chat_prompt(body, service);
  request.rules = answer_rules(output, *request.prompt.tools, request.prompt.thoughts,
                               request.params.ignore_eos, service);
  return request;
}

std::shared_ptr<Generation> submit_chat(const std::string& request_id, const Service& service,
                                        ChatRequest& chat) {
  const int room = completion_room(chat.params, service, chat.prompt.tokens.size(), "messages");
  const bool holds_answer = chat.rules && chat.rules->answer;
  auto generation = std::make_shared<Generation>(
      service, AssemblyOptions{.dialect = &service.dialect,
                               .starts_in_thought = chat.prompt.thoughts.starts_in_thought,
                               .hide_thoughts = !chat.prompt.include_reasoning,
                               .tools = chat.prompt.tools,
                               .calls = &service.calls,
                               .is_constrained = holds_answer || (chat.rules && chat.rules->calls),
                               .holds_answer = holds_answer,
                               .stop = chat.params.stop,
                               .repetition = chat.params.repetition});
  Request request;
  request.id = request_id;
  request.tokens = std::move(chat.prompt.tokens);
  request.media = std::move(chat.prompt.media);
  request.sampling = chat.params.sampling;
  request.n = chat.params.n;
  request.max_tokens = room;
  request.stop_ids = chat.params.stop_ids;
  // Whatever the checkpoint says of its ends: behind its calls the model waits for results.
  if (!chat.prompt.tools->tools.empty()) request.stop_ids.push_back(service.dialect.response_open);
  request.rules = chat.rules;
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  generation->submit(std::move(requests), "messages");
  return generation;
}

}  // namespace lapidary
