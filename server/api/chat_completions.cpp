#include "server/api/chat_completions.h"

#include <memory>
#include <utility>
#include <vector>

#include "server/api/answer_format.h"
#include "server/api/answer_sink.h"
#include "server/api/chat_format.h"
#include "server/api/chat_request.h"
#include "server/api/json_text.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

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
    end_chunk(sse, out, chat_finish_text(delta.finish, called_[choice], shape_), usage,
              delta.is_repetition);
  }

  void write_end(SseWriter& sse, const Usage& usage) override {
    if (params_.include_usage) {
      append_usage_chunk(sse.begin_frame(), chunk_opening_, usage);
      sse.end_frame();
    }
    sse.done();
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

  void end_chunk(SseWriter& sse, std::string& out, const char* finish, const Usage& usage,
                 bool is_repetition = false) {
    out += ",\"finish_reason\":";
    out += finish;
    append_stop_reason(out, is_repetition);
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
    append_stop_reason(out, choice.is_repetition);
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
  ChatRequest chat = parse_chat_request(Fields(json), service, http.body);

  // 2. Into the engine: from here on it is tokens.
  auto writer = std::make_shared<ChatAnswer>(chat, service);
  auto generation = submit_chat(http.id, service, chat);

  // 3. Tokens to text, text to JSON, as a stream or as a whole.
  return answer(http, service, chat.params, std::move(generation), std::move(writer));
}

}  // namespace lapidary
