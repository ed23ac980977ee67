#include "server/api/responses.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/api/answer_blocks.h"
#include "server/api/answer_sink.h"
#include "server/api/chat_request.h"
#include "server/api/responses_events.h"
#include "server/api/responses_format.h"
#include "server/api/responses_request.h"
#include "server/api/schema_order.h"

namespace lapidary {
namespace {

class ResponsesAnswer : public AnswerWriter {
 public:
  ResponsesAnswer(const ResponsesRequest& request, const GenerationParams& params,
                  const Service& service)
      : format_(request, params, service.tokenizer), events_(format_) {}

  void on_prompt(size_t, std::vector<TokenEvent>) override {}

  void write_start(SseWriter& sse, const Usage&) override {
    events_.set_writer(sse);
    events_.write_begun();
  }

  void write_delta(SseWriter&, size_t, const ChoiceDelta& delta, const Usage&) override {
    take(delta, events_);
  }

  void write_end(SseWriter&, const Usage& usage) override {
    events_.write_ended(blocks_.blocks(), finish_, usage);
  }

  void write_error(SseWriter& sse, const ApiError& error, const Usage& usage) override {
    events_.write_failed(blocks_.blocks(), error, usage);
    sse.cut();
  }

  void on_delta(size_t, const ChoiceDelta& delta) override {
    BlockVisitor nobody;
    take(delta, nobody);
  }

  std::string body(const std::vector<WholeChoice>&, const Usage& usage) override {
    std::string out;
    format_.append_ended(out, blocks_.blocks(), finish_, usage);
    return out;
  }

 private:
  void take(const ChoiceDelta& delta, BlockVisitor& visitor) {
    blocks_.add(delta, visitor);
    if (delta.finish == FinishReason::none) return;
    finish_ = delta.finish;
    // Agents look for a message or a call, also where the model had nothing to say.
    if (finish_ == FinishReason::stop) blocks_.ensure_answer(visitor);
    events_.set_finish(finish_);
    blocks_.finish(visitor);
  }

  const ResponsesFormat format_;
  ResponsesEvents events_;
  AnswerBlocks blocks_;
  FinishReason finish_ = FinishReason::none;
};

}  // namespace

HttpResponse handle_responses(const HttpRequest& http, const Service& service) {
  if (service.draining) throw api_error::draining();
  const ResponsesRequest request = translate_responses(service.parse(http.body));
  try {
    ChatRequest chat = parse_chat_request(Fields(request.chat), service,
                                          chat_schema_text(http.body, {"text", "format"}));
    auto writer = std::make_shared<ResponsesAnswer>(request, chat.params, service);
    auto generation = submit_chat(http.id, service, chat);
    return answer(http, service, chat.params, std::move(generation), std::move(writer));
  } catch (const ApiError& error) {
    throw request.origins.restate(error);
  }
}

}  // namespace lapidary
