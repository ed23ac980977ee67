// The ids of the control tokens of Gemma 4's dialect in one tokenizer. Ids come from the
// checkpoint's tokenizer.json, never from constants. Immutable, shared by all threads.
// Refuses a tokenizer that lacks one of them: without it the model cannot be spoken to.
#pragma once

#include <cstdint>

#include "engine/text/tokenizer.h"

namespace lapidary {

struct DialectTokens {
  int32_t bos;            // <bos>
  int32_t turn_open;      // <|turn>
  int32_t turn_close;     // <turn|>
  int32_t channel_open;   // <|channel>
  int32_t channel_close;  // <channel|>
  int32_t think;          // <|think|>
  int32_t call_open;      // <|tool_call>
  int32_t call_close;     // <tool_call|>
  int32_t response_open;  // <|tool_response>
  int32_t delimiter;      // <|"|>
  int32_t eos;            // <eos>

  // Throws StartupError that names the missing token.
  static DialectTokens from(const Tokenizer& tokenizer);
};

}  // namespace lapidary
