// Splits a model's output into reasoning and content, token by token, on ids: tags cannot be cut
// by a delta and cannot be forged by text. One parser per generated sequence, owned by the HTTP
// thread that streams it. The whole answer is the concatenation of the deltas; there is no other
// path. No control token ever becomes text. Bad markup is never an error: stray and doubled tags
// are dropped, text between them is kept. White space at the end of a thought is not part of it.
//
// A call that the model opens although the request has no tools ends its thought, and its text
// becomes content without the markup: the client sees what was said instead of an empty answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/decoder.h"
#include "engine/text/tokenizer.h"
#include "server/dialect/dialect_tokens.h"

namespace lapidary {

// What one token added; both empty for most control tokens and inside a multi-byte character.
struct OutputDelta {
  std::string reasoning;  // valid UTF-8
  std::string content;    // valid UTF-8
};

class OutputParser {
 public:
  // `starts_in_thought`: as RenderedPrompt says; never guessed from thinking being enabled. Both
  // references must outlive the parser.
  OutputParser(const Tokenizer& tokenizer, const DialectTokens& control, bool starts_in_thought);

  // The next generated token. A stop token may be passed too: as a control token it adds nothing.
  OutputDelta push(int32_t id);
  // The end, whatever the reason. Call once, push nothing afterwards.
  OutputDelta finish();

  // The next token belongs to a thought: stop strings sleep.
  bool in_thought() const { return state_ != State::kContent; }
  // Tokens so far that were thought, its opening and closing tags included (for usage).
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  enum class State { kContent, kThinkLabel, kThink };

  void push_control(int32_t id);
  void end_thought();
  void append_text(std::string_view text, OutputDelta& delta);
  void match_label(std::string_view text, OutputDelta& delta);
  void append_reasoning(std::string_view text, OutputDelta& delta);

  const Tokenizer& tokenizer_;
  const DialectTokens& control_;
  IncrementalDecoder decoder_;
  State state_;
  std::string label_;           // kThinkLabel: what was read so far, a beginning of "thought\n"
  std::string held_space_;      // kThink: sent only if more of the thought follows
  bool has_reasoning_ = false;  // some reasoning was sent
  bool needs_break_ = false;    // an earlier thought was sent: a newline goes before this one
  int64_t reasoning_tokens_ = 0;
};

}  // namespace lapidary
