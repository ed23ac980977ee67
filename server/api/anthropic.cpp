#include "server/api/anthropic.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/api/answer_blocks.h"
#include "server/api/answer_sink.h"
#include "server/api/anthropic_format.h"
#include "server/api/anthropic_request.h"
#include "server/api/chat_request.h"
#include "server/api/json_text.h"
#include "server/api/schema_order.h"
#include "server/http/request_policy.h"

namespace lapidary {
namespace {

// The events of a streamed message's blocks.
class AnthropicEvents : public BlockVisitor {
 public:
  void set_writer(SseWriter& sse) { sse_ = &sse; }

  std::string& begin(std::string_view event) {
    std::string& out = sse_->begin_frame(event);
    out += "{\"type\":\"";
    out += event;
    out += '"';
    return out;
  }

  void end(std::string& out) {
    out += '}';
    sse_->end_frame();
  }

  void on_open(size_t index, const AnswerBlock& block) override {
    std::string& out = begin_block("content_block_start", index);
    out += ",\"content_block\":";
    append_anthropic_block(out, block, /*is_beginning=*/true);
    end(out);
  }

  void on_piece(size_t index, const AnswerBlock& block, std::string_view piece,
                std::span<const TokenChoice>) override {
    std::string& out = begin_block("content_block_delta", index);
    out += ",\"delta\":";
    append_anthropic_delta(out, block, piece);
    end(out);
  }

  void on_close(size_t index, const AnswerBlock& block) override {
    if (block.kind == BlockKind::thought) {
      std::string& out = begin_block("content_block_delta", index);
      out += ",\"delta\":";
      append_anthropic_signature(out);
      end(out);
    }
    end(begin_block("content_block_stop", index));
  }

 private:
  std::string& begin_block(std::string_view event, size_t index) {
    std::string& out = begin(event);
    out += ",\"index\":";
    append_json_integer(out, static_cast<int64_t>(index));
    return out;
  }

  SseWriter* sse_ = nullptr;
};

class AnthropicAnswer : public AnswerWriter {
 public:
  // `limit_is_context`: what ends the answer by its length is the context, not max_tokens.
  AnthropicAnswer(const GenerationParams& params, std::string request_id, bool limit_is_context)
      : id_("msg_" + random_hex(32)),
        model_(params.model),
        request_id_(std::move(request_id)),
        stops_(params.stop.strings),
        limit_is_context_(limit_is_context) {}

  void on_prompt(size_t, std::vector<TokenEvent>) override {}

  void write_start(SseWriter& sse, const Usage& usage) override {
    constexpr char kPing[] = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    sse.set_ping(kPing);
    events_.set_writer(sse);
    std::string& out = events_.begin("message_start");
    out += ",\"message\":";
    append_anthropic_message(out, id_, model_, {}, {}, usage);
    events_.end(out);
    events_.end(events_.begin("ping"));
  }

  void write_delta(SseWriter&, size_t, const ChoiceDelta& delta, const Usage&) override {
    take(delta, events_);
  }

  void write_end(SseWriter&, const Usage& usage) override {
    std::string& out = events_.begin("message_delta");
    out += ",\"delta\":{";
    append_anthropic_stop(out, stop_);
    out += "},\"usage\":";
    append_anthropic_usage(out, usage);
    events_.end(out);
    events_.end(events_.begin("message_stop"));
  }

  void write_error(SseWriter& sse, const ApiError& error, const Usage&) override {
    sse.begin_frame("error") += error.anthropic_body(request_id_);
    sse.end_frame();
    sse.cut();
  }

  void on_delta(size_t, const ChoiceDelta& delta) override {
    BlockVisitor nobody;
    take(delta, nobody);
  }

  std::string body(const std::vector<WholeChoice>&, const Usage& usage) override {
    std::string out;
    append_anthropic_message(out, id_, model_, blocks_.blocks(), stop_, usage);
    return out;
  }

 private:
  void take(const ChoiceDelta& delta, BlockVisitor& visitor) {
    blocks_.add(delta, visitor);
    if (delta.finish == FinishReason::none) return;
    blocks_.finish(visitor);
    stop_ = stop_of(delta);
  }

  AnthropicStop stop_of(const ChoiceDelta& delta) const {
    if (delta.finish == FinishReason::length) {
      return {limit_is_context_ && !delta.is_repetition ? "model_context_window_exceeded"
                                                        : "max_tokens",
              {}};
    }
    const auto& blocks = blocks_.blocks();
    const bool has_calls = std::any_of(blocks.begin(), blocks.end(), [](const AnswerBlock& b) {
      return b.kind == BlockKind::call;
    });
    if (has_calls) return {"tool_use", {}};
    if (delta.stop_string) return {"stop_sequence", stops_[*delta.stop_string]};
    return {"end_turn", {}};
  }

  const std::string id_, model_, request_id_;
  const std::vector<std::string> stops_;
  const bool limit_is_context_;
  AnthropicEvents events_;
  AnswerBlocks blocks_;
  AnthropicStop stop_;
};

// Clients look for these words to shorten the conversation by themselves.
ApiError restated(const FieldOrigins& origins, const ApiError& error) {
  ApiError own = origins.restate(error);
  if (own.code == "context_length_exceeded") own.message = "prompt is too long: " + own.message;
  return own;
}

// An answer may be as long as the context leaves room, whatever max_tokens says beyond that.
bool clamp_to_context(ChatRequest& chat, const Service& service) {
  const auto prompt = static_cast<int64_t>(chat.prompt.tokens.size());
  auto& limit = chat.params.max_tokens;
  if (!limit || prompt + *limit <= service.options.max_model_len) return false;
  limit.reset();
  return true;
}

}  // namespace

HttpResponse handle_anthropic_messages(const HttpRequest& http, const Service& service) {
  if (service.draining) throw api_error::draining();
  const AnthropicRequest request = translate_anthropic(
      service.parse(http.body), service.options.max_model_len, /*counts=*/false);
  try {
    ChatRequest chat = parse_chat_request(Fields(request.chat), service,
                                          chat_schema_text(http.body, {"output_config", "format"}));
    const bool was_clamped = clamp_to_context(chat, service);
    auto writer =
        std::make_shared<AnthropicAnswer>(chat.params, http.id, was_clamped || request.was_clamped);
    auto generation = submit_chat(http.id, service, chat);
    return answer(http, service, chat.params, std::move(generation), std::move(writer));
  } catch (const ApiError& error) {
    throw restated(request.origins, error);
  }
}

HttpResponse handle_anthropic_count(const HttpRequest& http, const Service& service) {
  const AnthropicRequest request =
      translate_anthropic(service.parse(http.body), service.options.max_model_len, /*counts=*/true);
  try {
    const ChatRequest chat = parse_chat_request(Fields(request.chat), service);
    HttpResponse response;
    response.body = "{\"input_tokens\":";
    append_json_integer(response.body, static_cast<int64_t>(chat.prompt.tokens.size()));
    response.body += '}';
    return response;
  } catch (const ApiError& error) {
    throw restated(request.origins, error);
  }
}

}  // namespace lapidary
