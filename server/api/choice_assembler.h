// From the tokens of one choice to the text a client sees: decoding, reasoning apart from content,
// stop strings, counts, the reason of the end. Log-probabilities wait with the text that stop
// strings hold back, and those of a found stop string's own tokens are dropped with it. The only
// path from tokens to answers: a streamed answer sends the deltas, a whole one is their sum. One
// per choice, on the thread that serves the request.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "engine/text/decoder.h"
#include "engine/text/tokenizer.h"
#include "server/api/call_memory.h"
#include "server/api/repetition_breaker.h"
#include "server/api/tools.h"
#include "server/dialect/output_parser.h"
#include "server/dialect/stop_strings.h"

namespace lapidary {

// The log-probabilities at one token.
struct TokenChoice {
  int32_t token = 0;
  std::optional<float> logprob;  // none for the first token of a prompt
  std::vector<TokenLogprob> top;
  size_t text_offset = 0;  // characters of text before it
  bool is_content = true;  // not of a thought or a call, their tags included
};

// What one token adds to a tool call.
struct ToolCallDelta {
  int index = 0;         // of the calls of this choice
  std::string id, name;  // in the first delta of a call, otherwise empty
  std::string arguments;
};

// What one token adds to its choice. Parts may be empty; the last one has a `finish`.
struct ChoiceDelta {
  std::string reasoning;
  std::string content;
  std::vector<ToolCallDelta> calls;
  std::vector<int32_t> tokens;  // as generated, a stop token included
  // When asked for, of the tokens whose text was sent; a stop token has none.
  std::vector<TokenChoice> logprobs;
  FinishReason finish = FinishReason::none;
  std::optional<size_t> stop_string;  // of the request's, the one that ended it
  bool is_repetition = false;         // the reason of the end: it went in a circle

  bool adds_something() const {
    return !reasoning.empty() || !content.empty() || !logprobs.empty() || !calls.empty();
  }
};

struct AssemblyOptions {
  // Null: plain text, as of /v1/completions.
  const DialectTokens* dialect = nullptr;
  bool starts_in_thought = false;
  // Thoughts are counted but leave nothing in the deltas: no text, no ids, no log-probabilities.
  bool hide_thoughts = false;
  std::shared_ptr<const ToolRequest> tools = {};  // null: none; of a dialect only
  CallMemory* calls = nullptr;  // where calls are kept as they were generated; null: nowhere
  bool is_constrained = false;  // by a grammar, of the answer or of calls: nothing needs mending
  bool holds_answer = false;    // by one of the whole answer
  StopOptions stop = {};
  RepetitionLimits repetition = {};
};

class ChoiceAssembler {
 public:
  // The tokenizer and the dialect must outlive the assembler.
  ChoiceAssembler(const Tokenizer& tokenizer, const AssemblyOptions& options);

  // REQUIRES: an event of this choice that is no prompt token; none after finished().
  ChoiceDelta push(const TokenEvent& event);

  bool finished() const { return finish_ != FinishReason::none; }
  FinishReason finish() const { return finish_; }
  // A stop string, a call more than was asked for or a repetition ended it: the engine does not
  // know and must be told.
  bool ended_early() const {
    return matcher_.stopped() || breaker_.is_broken() || (parser_ && parser_->has_excess_call());
  }
  // What ended is to be reported as a call.
  bool has_calls() const { return parser_ && parser_->n_calls() > 0; }

  int64_t completion_tokens() const { return completion_tokens_; }
  int64_t reasoning_tokens() const { return parser_ ? parser_->reasoning_tokens() : 0; }

  // Text that stands before the first token, for text offsets: an echoed prompt.
  void set_text_offset(size_t characters) { characters_ = sent_ = characters; }

 private:
  bool is_thinking() const { return parser_ && parser_->in_thought(); }
  bool is_calling() const { return parser_ && parser_->in_call(); }
  // A circle ended what a grammar had not: it is no more complete than at max_tokens.
  bool cuts_what_is_held() const {
    return breaker_.is_broken() && !matcher_.stopped() &&
           (holds_answer_ || (holds_calls_ && is_calling()));
  }
  OutputDelta decode(int32_t token);
  OutputDelta flush(bool was_cut);
  static void add_calls(std::vector<CallDelta> calls, ChoiceDelta& delta);
  void add_token(const TokenEvent& event, ChoiceDelta& delta);
  void release_logprobs(ChoiceDelta& delta);
  void follow_call(int32_t token, const OutputDelta& text, const std::vector<ToolCallDelta>& calls);

  const Tokenizer& tokenizer_;
  std::shared_ptr<const ToolRequest> tools_;  // the parser looks into it
  std::optional<OutputParser> parser_;
  IncrementalDecoder decoder_;
  StopMatcher matcher_;
  RepetitionBreaker breaker_;
  const bool hide_thoughts_, holds_answer_, holds_calls_, keeps_stop_;
  std::deque<TokenChoice> waiting_;  // their text is held back
  const DialectTokens* const dialect_;
  CallMemory* const memory_;
  SpokenCall spoken_;  // the call that is being generated; no tokens: none that could be kept
  int n_quotes_ = 0;   // in it
  FinishReason finish_ = FinishReason::none;
  int64_t completion_tokens_ = 0;
  size_t characters_ = 0;  // of content, held text included
  size_t sent_ = 0;        // of content
};

// Code points in UTF-8 text.
size_t count_characters(std::string_view text);

}  // namespace lapidary
