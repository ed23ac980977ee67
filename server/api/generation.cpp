#include "server/api/generation.h"

#include <algorithm>
#include <utility>

#include "server/api/api_error.h"

namespace lapidary {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often the client is looked at while it waits for its first token: that may take long.
constexpr milliseconds kIdleTick{50};
// The same once tokens come. Each of them is an occasion to look, so this is for the pauses only;
// shorter, and hundreds of streams would wake more often for nothing than for a token.
constexpr milliseconds kBetweenTokensTick{250};
// The same for one of several prompts, whose streams are looked at in turns.
constexpr milliseconds kTurnTick{5};

}  // namespace

Generation::Generation(const Service& service, const AssemblyOptions& assembly)
    : service_(service), assembly_(assembly) {}

Generation::~Generation() {
  for (const Part& part : parts_) {
    if (part.open > 0) part.stream->cancel();
  }
}

void Generation::submit(std::vector<Request> requests, const char* param) {
  size_t n_choices = 0;
  for (const Request& request : requests) n_choices += static_cast<size_t>(request.n);
  choices_.reserve(n_choices);
  for (Request& request : requests) {
    Part part;
    part.first_choice = choices_.size();
    part.open = part.n = static_cast<size_t>(request.n);
    part.prompt_tokens = static_cast<int64_t>(request.tokens.size());
    for (const MediaSpan& span : request.media) part.image_tokens += span.count;
    part.prompt_sent = !request.prompt_logprobs;
    for (size_t i = 0; i < part.n; ++i) choices_.emplace_back(service_.tokenizer, assembly_);
    if (is_empty(request)) {
      part.open = 0;
      parts_.push_back(std::move(part));
      continue;
    }
    Submission submission = service_.submit(std::move(request));
    if (const auto* refusal = std::get_if<Refusal>(&submission)) {
      if (*refusal == Refusal::queue_full) throw api_error::overloaded();
      if (*refusal == Refusal::draining) throw api_error::draining();
      throw api_error::context_too_long(
          param,
          "This request is longer than the server's memory can hold. Please reduce the "
          "length of the prompt, max_tokens or n.");
    }
    part.stream = std::get<std::shared_ptr<TokenStream>>(std::move(submission));
    parts_.push_back(std::move(part));
  }
}

void Generation::end_empty_parts(DeltaSink& sink) {
  ChoiceDelta end;
  end.finish = FinishReason::length;
  for (const Part& part : parts_) {
    if (part.stream != nullptr) continue;
    for (size_t i = 0; i < part.n; ++i) sink.on_delta(part.first_choice + i, end);
  }
}

Outcome Generation::run(DeltaSink& sink) {
  const double timeout_s = service_.options.request_timeout_s;
  const auto deadline = timeout_s > 0 ? Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                           std::chrono::duration<double>(timeout_s))
                                      : Clock::time_point::max();
  end_empty_parts(sink);
  milliseconds tick = parts_.size() == 1 ? kIdleTick : kTurnTick;
  while (!all_ended()) {
    const bool progress = gather(tick, sink);
    if (progress && parts_.size() == 1) tick = kBetweenTokensTick;
    if (!(progress ? sink.on_ready() : sink.on_idle())) return Outcome::client_gone;
    if (cancelled_) return Outcome::cancelled;
    if (stuck_) return Outcome::stuck;
    if (!all_ended() && Clock::now() > deadline) return Outcome::timed_out;
  }
  return Outcome::complete;
}

bool Generation::gather(milliseconds wait, DeltaSink& sink) {
  bool progress = false;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].open == 0) continue;
    // Only the first open one is waited for; the others are read on the way.
    std::vector<TokenEvent> events = parts_[i].stream->take(wait);
    wait = milliseconds(0);
    if (events.empty() && parts_[i].stream->done()) {
      cancelled_ = true;  // ended without telling how
    }
    progress = progress || !events.empty();
    take(i, std::move(events), sink);
  }
  return progress;
}

void Generation::take(size_t index, std::vector<TokenEvent> events, DeltaSink& sink) {
  Part& part = parts_[index];
  for (TokenEvent& event : events) {
    if (event.is_prompt) {
      part.prompt.push_back(std::move(event));
      continue;
    }
    send_prompt(index, sink);
    push(part, event, sink);
  }
}

void Generation::send_prompt(size_t index, DeltaSink& sink) {
  Part& part = parts_[index];
  if (part.prompt_sent) return;
  part.prompt_sent = true;
  sink.on_prompt(index, std::move(part.prompt));
}

void Generation::push(Part& part, const TokenEvent& event, DeltaSink& sink) {
  const size_t index = part.first_choice + static_cast<size_t>(event.choice);
  ChoiceAssembler& choice = choices_[index];
  if (choice.finished()) return;  // the engine went on for a step after an early end
  if (event.finish == FinishReason::cancelled) {
    cancelled_ = true;
    return;
  }
  if (event.finish == FinishReason::failed) {
    stuck_ = true;
    return;
  }
  const ChoiceDelta delta = choice.push(event);
  if (choice.finished()) {
    --part.open;
    if (choice.ended_early() && event.finish == FinishReason::none) {
      part.stream->cancel_choice(event.choice);
    }
  }
  sink.on_delta(index, delta);
}

bool Generation::all_ended() const {
  return std::all_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.open == 0; });
}

Usage Generation::usage() const {
  Usage usage;
  for (const Part& part : parts_) {
    usage.prompt_tokens += part.prompt_tokens;
    usage.image_tokens += part.image_tokens;
    if (part.stream != nullptr) usage.cached_tokens += part.stream->cached_tokens();
  }
  for (const ChoiceAssembler& choice : choices_) {
    usage.completion_tokens += choice.completion_tokens();
    usage.reasoning_tokens += choice.reasoning_tokens();
  }
  return usage;
}

}  // namespace lapidary
