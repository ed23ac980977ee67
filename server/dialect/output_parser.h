// Splits a model's output into reasoning, content and tool calls, token by token, on ids: tags
// cannot be cut by a delta and cannot be forged by text. One parser per generated sequence, owned
// by the HTTP thread that streams it. The whole answer is the concatenation of the deltas; there is
// no other path. No control token ever becomes text. Bad markup is never an error: stray and
// doubled tags are dropped, text between them is kept. White space at the end of a thought is not
// part of it.
//
// With tools, white space around calls is not part of the content, and a content that begins as a
// call does, `call:NAME{` with the name of a tool, is one although its opener is missing.
// A call that the model opens although the request has no tools ends its thought, and its text
// becomes content without the markup: the client sees what was said instead of an empty answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/decoder.h"
#include "engine/text/tokenizer.h"
#include "server/dialect/call_parser.h"
#include "server/dialect/dialect_tokens.h"

namespace lapidary {

// What one token added; all empty for most control tokens and inside a multi-byte character.
struct OutputDelta {
  std::string reasoning;  // valid UTF-8
  std::string content;    // valid UTF-8
  std::vector<CallDelta> calls = {};
};

class OutputParser {
 public:
  // `starts_in_thought`: as RenderedPrompt says; never guessed from thinking being enabled. Both
  // references, and the tools, must outlive the parser.
  OutputParser(const Tokenizer& tokenizer, const DialectTokens& control, bool starts_in_thought,
               const CallOptions& calls = {});

  // The next generated token. A stop token may be passed too: as a control token it adds nothing.
  OutputDelta push(int32_t id);
  // The end. Call once, push nothing afterwards. A call that is still open is completed; not so if
  // the answer was cut by its limit: then its arguments end where they are.
  OutputDelta finish(bool was_cut = false);

  // The next token belongs to a thought: stop strings sleep.
  bool in_thought() const { return state_ == State::kThinkLabel || state_ == State::kThink; }
  // It belongs to a call.
  bool in_call() const { return state_ == State::kCall; }
  int n_calls() const { return call_.n_calls(); }
  // The model began one more call than is allowed: the answer should end here. Adds nothing more.
  bool has_excess_call() const { return call_.has_excess(); }
  // Tokens so far that were thought, its opening and closing tags included (for usage).
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  enum class State { kContent, kThinkLabel, kThink, kCall };

  bool has_tools() const { return tools_ != nullptr; }
  void push_control(int32_t id, OutputDelta& delta);
  void push_control_in_call(int32_t id, OutputDelta& delta);
  void open_thought();
  void end_thought();
  void open_call(OutputDelta& delta);
  void close_call(OutputDelta& delta);
  void append_text(std::string_view text, OutputDelta& delta);
  void match_label(std::string_view text, OutputDelta& delta);
  void append_reasoning(std::string_view text, OutputDelta& delta);
  void append_content(std::string_view text, OutputDelta& delta);
  void send_content(std::string_view text, OutputDelta& delta);
  void release_lead(OutputDelta& delta);
  enum class Match { kNo, kMaybe, kYes };
  Match match_call(std::string_view text) const;

  const Tokenizer& tokenizer_;
  const DialectTokens& control_;
  const std::vector<ToolDeclaration>* tools_;  // null: none
  const bool needs_opener_;                    // of a call
  IncrementalDecoder decoder_;
  CallParser call_;
  State state_;
  std::string lead_;                // tools: beginning of a content that may be a call
  std::string held_content_space_;  // tools: sent only if more content follows
  bool may_lead_ = true;            // tools: no content yet since the start, a thought or a call
  std::string label_;               // kThinkLabel: what was read so far, a beginning of "thought\n"
  std::string held_space_;          // kThink: sent only if more of the thought follows
  bool has_reasoning_ = false;      // some reasoning was sent
  bool needs_break_ = false;        // an earlier thought was sent: a newline goes before this one
  int64_t reasoning_tokens_ = 0;
};

}  // namespace lapidary
