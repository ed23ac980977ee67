#include "server/api/choice_assembler.h"

#include <algorithm>
#include <utility>

#include "server/http/request_policy.h"

namespace lapidary {

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

ChoiceAssembler::ChoiceAssembler(const Tokenizer& tokenizer, const AssemblyOptions& options)
    : tokenizer_(tokenizer),
      tools_(options.tools),
      decoder_(tokenizer),
      matcher_(options.stop),
      breaker_(options.repetition),
      hide_thoughts_(options.hide_thoughts),
      holds_answer_(options.holds_answer),
      holds_calls_(options.is_constrained),
      keeps_stop_(options.stop.include_in_output),
      dialect_(options.dialect),
      memory_(options.calls) {
  if (options.dialect != nullptr) {
    CallOptions calls = tools_ ? tools_->call_options() : CallOptions{};
    calls.is_exact = calls.is_exact || options.is_constrained;
    parser_.emplace(tokenizer, *options.dialect, options.starts_in_thought, calls);
  }
}

ChoiceDelta ChoiceAssembler::push(const TokenEvent& event) {
  ChoiceDelta delta;
  if (event.token >= 0) add_token(event, delta);
  const bool is_cut = cuts_what_is_held();
  if (!matcher_.stopped() && (event.finish != FinishReason::none || ended_early())) {
    OutputDelta rest = flush(event.finish == FinishReason::length || is_cut);
    if (!hide_thoughts_) delta.reasoning += rest.reasoning;
    delta.content += matcher_.finish(rest.content);
    add_calls(std::move(rest.calls), delta);
  }
  if (is_cut) {
    finish_ = FinishReason::length;
  } else {
    finish_ = ended_early() ? FinishReason::stop : event.finish;
  }
  delta.finish = finish_;
  delta.stop_string = matcher_.found();
  delta.is_repetition = breaker_.is_broken() && !matcher_.stopped();
  sent_ += count_characters(delta.content);
  release_logprobs(delta);
  return delta;
}

void ChoiceAssembler::add_token(const TokenEvent& event, ChoiceDelta& delta) {
  ++completion_tokens_;
  if (event.finish == FinishReason::stop) {
    delta.tokens.push_back(event.token);
    matcher_.push({});  // counts it; a stop token has no text, whatever it spells
    return;
  }
  breaker_.push(event.token);
  const size_t offset = characters_;
  const bool was_thinking = is_thinking(), was_calling = is_calling();
  OutputDelta text = decode(event.token);
  characters_ += count_characters(text.content);
  delta.content = matcher_.push(text.content);
  add_calls(std::exchange(text.calls, {}), delta);
  if (memory_ != nullptr) follow_call(event.token, text, delta.calls);
  // The tags of a thought belong to it.
  const bool is_thought = was_thinking || is_thinking();
  if (hide_thoughts_ && is_thought) return;
  delta.reasoning = std::move(text.reasoning);
  delta.tokens.push_back(event.token);
  const bool is_content = !is_thought && !was_calling && !is_calling();
  if (event.logprob) {
    waiting_.push_back({event.token, event.logprob, event.top, offset, is_content});
  }
}

// Whatever begins before the end of the text that was sent. What begins at its end waits only while
// text is held back; when a stop string ends the choice, it is part of that string.
void ChoiceAssembler::release_logprobs(ChoiceDelta& delta) {
  const bool ends_in_stop = matcher_.stopped() && !keeps_stop_;
  const bool all = ends_in_stop ? false : finished() || sent_ == characters_;
  while (!waiting_.empty() && (all || waiting_.front().text_offset < sent_)) {
    delta.logprobs.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

OutputDelta ChoiceAssembler::decode(int32_t token) {
  if (parser_) return parser_->push(token);
  return {{}, decoder_.push(token)};
}

void ChoiceAssembler::add_calls(std::vector<CallDelta> calls, ChoiceDelta& delta) {
  for (CallDelta& call : calls) {
    std::string id = call.name.empty() ? std::string() : "call_" + random_hex(24);
    delta.calls.push_back(
        {call.index, std::move(id), std::move(call.name), std::move(call.arguments)});
  }
}

// Kept are calls as the template could have written them: between an opener and a closer one call,
// no control token but quotes, in pairs, and no text that the parser gave back.
void ChoiceAssembler::follow_call(int32_t token, const OutputDelta& text,
                                  const std::vector<ToolCallDelta>& calls) {
  if (token == dialect_->call_open) {
    spoken_ = {.tokens = {token}};
    n_quotes_ = 0;
    return;
  }
  if (spoken_.tokens.empty()) return;
  spoken_.tokens.push_back(token);
  bool is_clean = text.content.empty();
  for (const ToolCallDelta& call : calls) {
    if (!call.id.empty()) {
      is_clean = is_clean && spoken_.id.empty();
      spoken_.id = call.id;
      spoken_.name = call.name;
    }
    spoken_.arguments += call.arguments;
  }
  if (token == dialect_->delimiter) {
    ++n_quotes_;
  } else if (tokenizer_.is_control(token)) {
    is_clean = is_clean && token == dialect_->call_close && n_quotes_ % 2 == 0;
    if (is_clean && !spoken_.id.empty()) memory_->keep(std::move(spoken_));
    is_clean = false;
  }
  if (!is_clean) spoken_ = {};
}

OutputDelta ChoiceAssembler::flush(bool was_cut) {
  if (parser_) return parser_->finish(was_cut);
  return {{}, decoder_.finish()};
}

}  // namespace lapidary
