#include "server/api/choice_assembler.h"

#include <algorithm>
#include <utility>

namespace lapidary {

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

ChoiceAssembler::ChoiceAssembler(const Tokenizer& tokenizer, const AssemblyOptions& options)
    : decoder_(tokenizer), matcher_(options.stop) {
  if (options.dialect != nullptr) {
    parser_.emplace(tokenizer, *options.dialect, options.starts_in_thought);
  }
}

ChoiceDelta ChoiceAssembler::push(const TokenEvent& event) {
  ChoiceDelta delta;
  if (event.token >= 0) add_token(event, delta);
  if (!matcher_.stopped() && event.finish != FinishReason::none) {
    OutputDelta rest = flush();
    delta.reasoning += rest.reasoning;
    if (!rest.content.empty()) delta.content += matcher_.push(rest.content);
    if (!matcher_.stopped()) delta.content += matcher_.finish();
  }
  finish_ = matcher_.stopped() ? FinishReason::stop : event.finish;
  delta.finish = finish_;
  return delta;
}

void ChoiceAssembler::add_token(const TokenEvent& event, ChoiceDelta& delta) {
  ++completion_tokens_;
  delta.tokens.push_back(event.token);
  if (event.finish == FinishReason::stop) {
    matcher_.push({});  // counts it; a stop token has no text, whatever it spells
    return;
  }
  if (event.logprob) {
    delta.logprobs.push_back({event.token, event.logprob, event.top, characters_});
  }
  OutputDelta text = decode(event.token);
  characters_ += count_characters(text.content);
  delta.reasoning = std::move(text.reasoning);
  delta.content = matcher_.push(text.content);
}

OutputDelta ChoiceAssembler::decode(int32_t token) {
  if (parser_) return parser_->push(token);
  return {{}, decoder_.push(token)};
}

OutputDelta ChoiceAssembler::flush() {
  if (parser_) return parser_->finish();
  return {{}, decoder_.finish()};
}

}  // namespace lapidary
