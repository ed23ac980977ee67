// The JSON text of answers: chunks of a stream and whole bodies, for both completion endpoints.
// Written by hand into a string, since a stream does it for every token; what stays the same in
// every chunk is made once. Used by the thread that serves the request.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "engine/text/tokenizer.h"
#include "server/api/choice_assembler.h"
#include "server/api/generation.h"
#include "server/api/request_params.h"
#include "server/api/service.h"

namespace lapidary {

// What stands in every chunk and body of one answer.
struct AnswerHead {
  std::string id;      // "chatcmpl-..."
  std::string object;  // "chat.completion.chunk"
  std::string model;   // as the request called it
  int64_t created = 0;

  // {"id":...,"object":...,"created":...,"model":...,"system_fingerprint":... without the end.
  std::string opening() const;
};

int64_t unix_time();

const char* finish_text(FinishReason finish);  // "stop" or "length", with quotes; null

// `,"stop_reason":"repetition"` beside a finish_reason of "stop", where that is why.
void append_stop_reason(std::string& out, bool is_repetition);

void append_usage(std::string& out, const Usage& usage);
// What a chunk says of usage behind its choices: `,"usage":...`, or nothing, as the request asked.
void append_chunk_usage(std::string& out, const GenerationParams& params, const Usage& usage);
// The chunk without choices that ends a stream with include_usage.
void append_usage_chunk(std::string& out, const std::string& opening, const Usage& usage);
void append_token_ids(std::string& out, const std::vector<int32_t>& ids);

// "reasoning_content":"..." with a comma behind it, under the configured name or names.
void append_reasoning(std::string& out, ReasoningField field, std::string_view text);

// [{"token","logprob","bytes","top_logprobs"},...]
void append_logprob_list(std::string& out, const Tokenizer& tokenizer,
                         std::span<const TokenChoice> entries);
// {"content":[...],"refusal":null}
void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          const std::vector<TokenChoice>& entries);
// {"tokens":[...],"token_logprobs":[...],"top_logprobs":[...],"text_offset":[...]}
void append_completion_logprobs(std::string& out, const Tokenizer& tokenizer,
                                const std::vector<TokenChoice>& entries);

// How a token is written where one must be shown alone: its text, or `bytes:\xe2\x80` when it is
// only a part of a character.
std::string token_label(const Tokenizer& tokenizer, int32_t id);

}  // namespace lapidary
