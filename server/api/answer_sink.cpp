#include "server/api/answer_sink.h"

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <spdlog/spdlog.h>

#include "server/api/api_error.h"

namespace lapidary {
namespace {

class WholeSink : public DeltaSink {
 public:
  WholeSink(const HttpRequest& http, AnswerWriter& writer, size_t n_choices)
      : choices(n_choices), http_(http), writer_(writer) {}

  void on_prompt(size_t prompt, std::vector<TokenEvent> events) override {
    writer_.on_prompt(prompt, std::move(events));
  }
  void on_delta(size_t choice, const ChoiceDelta& delta) override {
    choices[choice].add(delta);
    writer_.on_delta(choice, delta);
  }
  bool on_ready() override { return !http_.client_gone(); }
  bool on_idle() override { return !http_.client_gone(); }

  std::vector<WholeChoice> choices;

 private:
  const HttpRequest& http_;
  AnswerWriter& writer_;
};

class StreamSink : public DeltaSink {
 public:
  // `counts`: usage is wanted in every chunk.
  StreamSink(SseWriter& sse, AnswerWriter& writer, const Generation& generation, bool counts)
      : sse_(sse), writer_(writer), generation_(generation), counts_(counts) {}

  void on_prompt(size_t prompt, std::vector<TokenEvent> events) override {
    writer_.on_prompt(prompt, std::move(events));
  }
  void on_delta(size_t choice, const ChoiceDelta& delta) override {
    writer_.write_delta(sse_, choice, delta, counts_ ? generation_.usage() : Usage{});
  }
  bool on_ready() override { return sse_.flush(); }
  bool on_idle() override { return sse_.ping_if_due(); }

 private:
  SseWriter& sse_;
  AnswerWriter& writer_;
  const Generation& generation_;
  const bool counts_;
};

// Nothing when the answer is complete.
std::optional<ApiError> error_of(Outcome outcome, const Service& service) {
  switch (outcome) {
    case Outcome::complete:
      return std::nullopt;
    case Outcome::client_gone:
      return api_error::client_closed();
    case Outcome::timed_out:
      return api_error::timed_out();
    case Outcome::stuck:
      return api_error::stuck();
    case Outcome::cancelled:
      break;
  }
  return service.draining ? api_error::draining() : api_error::cancelled();
}

void stream_answer(BodyWriter& body, const Service& service, const GenerationParams& params,
                   Generation& generation, AnswerWriter& writer) {
  const std::chrono::milliseconds ping(
      static_cast<int64_t>(service.options.ping_interval_s * 1000));
  SseWriter sse(body, ping);
  std::optional<ApiError> error;
  try {
    writer.write_start(sse, generation.usage());
    sse.flush();  // the first token may take long
    StreamSink sink(sse, writer, generation, params.continuous_usage);
    error = error_of(generation.run(sink), service);
  } catch (const std::exception& unexpected) {
    spdlog::error("stream: {}", unexpected.what());
    error = api_error::internal();
  }
  if (error) {
    writer.write_error(sse, *error, generation.usage());
  } else {
    writer.write_end(sse, generation.usage());
  }
  sse.flush();
}

}  // namespace

void WholeChoice::add(const ChoiceDelta& delta) {
  reasoning += delta.reasoning;
  content += delta.content;
  for (const ToolCallDelta& call : delta.calls) {
    if (!call.name.empty()) {
      calls.push_back(call);
    } else {
      calls.back().arguments += call.arguments;
    }
  }
  tokens.insert(tokens.end(), delta.tokens.begin(), delta.tokens.end());
  logprobs.insert(logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
  is_repetition = is_repetition || delta.is_repetition;
  if (delta.finish != FinishReason::none) finish = delta.finish;
}

HttpResponse answer(const HttpRequest& http, const Service& service, const GenerationParams& params,
                    std::shared_ptr<Generation> generation, std::shared_ptr<AnswerWriter> writer) {
  if (params.stream) {
    return SseWriter::response([&service, params, generation, writer](BodyWriter& body) {
      stream_answer(body, service, params, *generation, *writer);
    });
  }
  WholeSink sink(http, *writer, generation->n_choices());
  if (auto error = error_of(generation->run(sink), service)) throw *std::move(error);
  HttpResponse response;
  response.body = writer->body(sink.choices, generation->usage());
  return response;
}

}  // namespace lapidary
