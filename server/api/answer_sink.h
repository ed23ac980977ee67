// The two ways an answer leaves: as a stream of chunks or as one body. Both run the same generation
// and differ only in what they do with its deltas; an endpoint says how its chunks and its body
// are written (AnswerWriter) and leaves the rest to answer().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/api/api_error.h"
#include "server/api/generation.h"
#include "server/api/request_params.h"
#include "server/http/http_types.h"
#include "server/http/sse_writer.h"

namespace lapidary {

// What one choice said in all: the sum of its deltas.
struct WholeChoice {
  std::string reasoning, content;
  std::vector<ToolCallDelta> calls;  // whole ones
  std::vector<int32_t> tokens;
  std::vector<TokenChoice> logprobs;
  FinishReason finish = FinishReason::none;
  bool is_repetition = false;  // it ended because it went in a circle

  void add(const ChoiceDelta& delta);
};

// One per request, called on its thread.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  // The prompt's scored tokens, before any delta of its choices.
  virtual void on_prompt(size_t prompt, std::vector<TokenEvent> events) = 0;

  // A stream: what stands before the first delta, the chunks of one delta, the end of a complete
  // answer or of one that failed. `usage` is what was used so far; with a delta only if continuous
  // usage was asked for.
  virtual void write_start(SseWriter&, const Usage&) {}
  virtual void write_delta(SseWriter& sse, size_t choice, const ChoiceDelta& delta,
                           const Usage& usage) = 0;
  virtual void write_end(SseWriter& sse, const Usage& usage) = 0;
  virtual void write_error(SseWriter& sse, const ApiError& error, const Usage&) {
    sse.fail(error.body());
  }

  // A whole answer. on_delta is for those whose body keeps the order in which things were said.
  virtual void on_delta(size_t, const ChoiceDelta&) {}
  virtual std::string body(const std::vector<WholeChoice>& choices, const Usage& usage) = 0;
};

// Runs a submitted generation to its end and answers as `params` asks. Throws ApiError when a whole
// answer cannot be given; a stream ends with an error frame instead.
HttpResponse answer(const HttpRequest& http, const Service& service, const GenerationParams& params,
                    std::shared_ptr<Generation> generation, std::shared_ptr<AnswerWriter> writer);

}  // namespace lapidary
