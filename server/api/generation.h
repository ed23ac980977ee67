// One HTTP request's work in the engine: submits its prompts (all or none), gathers their tokens,
// assembles each choice and hands the deltas to a sink, until all choices ended, the client left,
// or the time was up. Whatever happens, nothing of it keeps running behind. Used by the one thread
// that serves the request.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "server/api/choice_assembler.h"
#include "server/api/service.h"

namespace lapidary {

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;     // of the prompt
  int64_t image_tokens = 0;      // of the prompt: soft tokens
  int64_t reasoning_tokens = 0;  // of the completion
};

// Where the deltas go.
class DeltaSink {
 public:
  virtual ~DeltaSink() = default;
  // The prompt's own tokens with their logprobs, before any delta of its choices; only when asked.
  virtual void on_prompt(size_t prompt, std::vector<TokenEvent> events) = 0;
  // `choice` counts over all prompts: prompt * n + choice of the prompt.
  virtual void on_delta(size_t choice, const ChoiceDelta& delta) = 0;
  // What was ready has been handed over; or nothing came for a while. False: the client is gone.
  virtual bool on_ready() = 0;
  virtual bool on_idle() = 0;
};

enum class Outcome { complete, client_gone, cancelled, timed_out, stuck };

class Generation {
 public:
  Generation(const Service& service, const AssemblyOptions& assembly);
  ~Generation();  // cancels what still runs
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Throws ApiError (overloaded, draining, context_length_exceeded with `param`) and then nothing
  // of it runs.
  void submit(std::vector<Request> requests, const char* param);

  Outcome run(DeltaSink& sink);

  // So far.
  Usage usage() const;
  size_t n_choices() const { return choices_.size(); }
  ChoiceAssembler& choice(size_t index) { return choices_[index]; }

 private:
  struct Part {
    std::shared_ptr<TokenStream> stream;  // null: an empty request
    size_t first_choice = 0, n = 1;
    size_t open = 1;  // choices that have not ended
    int64_t prompt_tokens = 0, image_tokens = 0;
    std::vector<TokenEvent> prompt;  // until the first token of the answer
    bool prompt_sent = false;
  };

  // Nothing was asked of the engine for it: no answer and no scores.
  static bool is_empty(const Request& request) {
    return request.max_tokens == 0 && !request.prompt_logprobs;
  }
  void end_empty_parts(DeltaSink& sink);
  // True when anything came. Updates parts and choices.
  bool gather(std::chrono::milliseconds wait, DeltaSink& sink);
  void take(size_t index, std::vector<TokenEvent> events, DeltaSink& sink);
  void push(Part& part, const TokenEvent& event, DeltaSink& sink);
  void send_prompt(size_t index, DeltaSink& sink);
  bool all_ended() const;

  const Service& service_;
  const AssemblyOptions assembly_;
  std::vector<Part> parts_;
  std::vector<ChoiceAssembler> choices_;
  bool cancelled_ = false;
  bool stuck_ = false;  // the rules of an answer left nothing to go on with
};

}  // namespace lapidary
