#include "server/api/chat_completions.h"

#include <memory>
#include <utility>
#include <vector>

#include "server/api/answer_format.h"
#include "server/api/answer_sink.h"
#include "server/api/chat_format.h"
#include "server/api/chat_prompt.h"
#include "server/api/fields.h"
#include "server/api/generation.h"
#include "server/api/json_text.h"
#include "server/api/request_params.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

struct ChatRequest {
  GenerationParams params;
  ChatPrompt prompt;
};

// logprobs is a switch here, top_logprobs the number.
void parse_logprobs(const Fields& body, SamplingParams& sampling) {
  const bool wanted = body.boolean("logprobs").value_or(false);
  const auto top = body.integer("top_logprobs", 0, 20);
  if (!wanted && top.value_or(0) > 0) {
    throw api_error::invalid_value("top_logprobs", "it needs 'logprobs' to be true.");
  }
  if (wanted) sampling.n_logprobs = static_cast<int>(top.value_or(0));
}

ChatRequest parse_chat_request(const Fields& body, const Service& service) {
  ChatRequest request;
  request.params = parse_generation_params(body, service, 1);
  parse_logprobs(body, request.params.sampling);
  if (body.boolean("echo").value_or(false)) {
    throw api_error::unsupported_parameter("echo", "It belongs to /v1/completions.");
  }
  request.prompt = parse_chat_prompt(body, service);
  return request;
}

class ChatAnswer : public AnswerWriter {
 public:
  ChatAnswer(const ChatRequest& request, const Service& service)
      : service_(service),
        params_(request.params),
        shape_{service.options.reasoning_field, request.prompt.tools->is_legacy},
        started_(static_cast<size_t>(request.params.n), false),
        called_(started_) {
    if (params_.return_token_ids) prompt_tokens_ = request.prompt.tokens;
    AnswerHead head{"chatcmpl-" + random_hex(32), "chat.completion", params_.model, unix_time()};
    body_opening_ = head.opening();
    head.object = "chat.completion.chunk";
    chunk_opening_ = head.opening();
  }

  void on_prompt(size_t, std::vector<TokenEvent>) override {}

  void write_delta(SseWriter& sse, size_t choice, const ChoiceDelta& delta,
                   const Usage& usage) override {
    if (!started_[choice]) write_role(sse, choice, usage);
    called_[choice] = called_[choice] || !delta.calls.empty();
    bool has_ids = params_.return_token_ids && !delta.tokens.empty();
    if (delta.adds_something() || has_ids) {
      bool is_first = true;  // it carries what belongs to the token and not to its text
      for_each_delta(delta, shape_, [&](const auto& append) {
        std::string& out = begin_chunk(sse, choice);
        append(out);
        out += ",\"logprobs\":";
        append_logprobs(out, is_first ? delta.logprobs : std::vector<TokenChoice>());
        if (std::exchange(has_ids, false)) {
          out += ",\"token_ids\":";
          append_token_ids(out, delta.tokens);
        }
        is_first = false;
        end_chunk(sse, out, "null", usage);
      });
    }
    if (delta.finish == FinishReason::none) return;
    std::string& out = begin_chunk(sse, choice);
    out += "{},\"logprobs\":null";
    end_chunk(sse, out, chat_finish_text(delta.finish, called_[choice], shape_), usage);
  }

  void write_usage(SseWriter& sse, const Usage& usage) override {
    append_usage_chunk(sse.begin_frame(), chunk_opening_, usage);
    sse.end_frame();
  }

  std::string body(const std::vector<WholeChoice>& choices, const Usage& usage) override {
    std::string out = body_opening_ + ",\"choices\":[";
    for (size_t i = 0; i < choices.size(); ++i) {
      if (i > 0) out += ',';
      append_choice(out, i, choices[i]);
    }
    out += "],\"usage\":";
    append_usage(out, usage);
    append_prompt_tokens(out);
    out += '}';
    return out;
  }

 private:
  std::string& begin_chunk(SseWriter& sse, size_t choice) {
    std::string& out = sse.begin_frame();
    out += chunk_opening_;
    out += ",\"choices\":[{\"index\":";
    append_json_integer(out, static_cast<int64_t>(choice));
    out += ",\"delta\":";
    return out;
  }

  void end_chunk(SseWriter& sse, std::string& out, const char* finish, const Usage& usage) {
    out += ",\"finish_reason\":";
    out += finish;
    out += "}]";
    append_chunk_usage(out, params_, usage);
    if (!prompt_sent_) append_prompt_tokens(out);
    prompt_sent_ = true;
    out += '}';
    sse.end_frame();
  }

  void write_role(SseWriter& sse, size_t choice, const Usage& usage) {
    started_[choice] = true;
    std::string& out = begin_chunk(sse, choice);
    append_role_delta(out);
    out += ",\"logprobs\":null";
    end_chunk(sse, out, "null", usage);
  }

  void append_choice(std::string& out, size_t index, const WholeChoice& choice) const {
    out += "{\"index\":";
    append_json_integer(out, static_cast<int64_t>(index));
    out += ",\"message\":";
    append_message(out, choice, shape_);
    out += ",\"logprobs\":";
    append_logprobs(out, choice.logprobs);
    out += ",\"finish_reason\":";
    out += chat_finish_text(choice.finish, !choice.calls.empty(), shape_);
    if (params_.return_token_ids) {
      out += ",\"token_ids\":";
      append_token_ids(out, choice.tokens);
    }
    out += '}';
  }

  void append_logprobs(std::string& out, const std::vector<TokenChoice>& entries) const {
    if (params_.sampling.n_logprobs < 0) {
      out += "null";
    } else {
      append_chat_logprobs(out, service_.tokenizer, entries);
    }
  }

  void append_prompt_tokens(std::string& out) const {
    if (!params_.return_token_ids) return;
    out += ",\"prompt_token_ids\":";
    append_token_ids(out, prompt_tokens_);
  }

  const Service& service_;
  const GenerationParams params_;
  std::vector<int32_t> prompt_tokens_;
  const ChatShape shape_;
  std::vector<bool> started_, called_;  // by choice
  bool prompt_sent_ = false;
  std::string body_opening_, chunk_opening_;
};

}  // namespace

HttpResponse handle_chat_completions(const HttpRequest& http, const Service& service) {
  if (service.draining) throw api_error::draining();
  // 1. What is asked: every field checked, the model's defaults filled in, the prompt rendered.
  const nlohmann::json json = service.parse(http.body);
  ChatRequest chat = parse_chat_request(Fields(json), service);
  const int room = completion_room(chat.params, service, chat.prompt.tokens.size(), "messages");

  // 2. Into the engine: from here on it is tokens.
  auto writer = std::make_shared<ChatAnswer>(chat, service);
  auto generation = std::make_shared<Generation>(
      service, AssemblyOptions{.dialect = &service.dialect,
                               .starts_in_thought = chat.prompt.starts_in_thought,
                               .hide_thoughts = !chat.prompt.include_reasoning,
                               .tools = chat.prompt.tools,
                               .stop = chat.params.stop});
  Request request;
  request.id = http.id;
  request.tokens = std::move(chat.prompt.tokens);
  request.sampling = chat.params.sampling;
  request.n = chat.params.n;
  request.max_tokens = room;
  request.stop_ids = chat.params.stop_ids;
  // Whatever the checkpoint says of its ends: behind its calls the model waits for results.
  if (!chat.prompt.tools->tools.empty()) request.stop_ids.push_back(service.dialect.response_open);
  std::vector<Request> requests;
  requests.push_back(std::move(request));
  generation->submit(std::move(requests), "messages");

  // 3. Tokens to text, text to JSON, as a stream or as a whole.
  return answer(http, service, chat.params, std::move(generation), std::move(writer));
}

}  // namespace lapidary
