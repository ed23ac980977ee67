// The JSON text of /v1/messages: messages and their content blocks, whole and as events. Used by
// the thread that serves the request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/api/answer_blocks.h"
#include "server/api/generation.h"

namespace lapidary {

// How an answer ended, in Anthropic's words.
struct AnthropicStop {
  const char* reason = nullptr;  // "end_turn"; null: not yet
  std::string sequence;          // the stop sequence that was found; empty: none
};

// {"type":"thinking"|"text"|"tool_use",...}. As it begins a block is empty.
void append_anthropic_block(std::string& out, const AnswerBlock& block, bool is_beginning);

// The delta of a block, an object.
void append_anthropic_delta(std::string& out, const AnswerBlock& block, std::string_view piece);
// What stands at the end of a thinking block. Clients send back only thoughts that are signed; ours
// need no signature, so it says nothing.
void append_anthropic_signature(std::string& out);

// "stop_reason":...,"stop_sequence":...
void append_anthropic_stop(std::string& out, const AnthropicStop& stop);

// Tokens that came from the cache are counted apart from the others.
void append_anthropic_usage(std::string& out, const Usage& usage);

// A whole message; one that has only begun has no blocks and no stop.
void append_anthropic_message(std::string& out, std::string_view id, std::string_view model,
                              const std::vector<AnswerBlock>& blocks, const AnthropicStop& stop,
                              const Usage& usage);

}  // namespace lapidary
