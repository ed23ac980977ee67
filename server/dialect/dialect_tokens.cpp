#include "server/dialect/dialect_tokens.h"

#include <optional>
#include <string>
#include <string_view>

#include "config/startup_error.h"

namespace lapidary {
namespace {

int32_t require_control(const Tokenizer& tokenizer, std::string_view name) {
  const std::optional<int32_t> id = tokenizer.control_id(name);
  if (!id) {
    throw StartupError("tokenizer.json has no added token \"" + std::string(name) +
                       "\", which Gemma 4's chat format needs: use the tokenizer that was "
                       "published with the model.");
  }
  return *id;
}

}  // namespace

DialectTokens DialectTokens::from(const Tokenizer& tokenizer) {
  return DialectTokens{
      .bos = require_control(tokenizer, "<bos>"),
      .turn_open = require_control(tokenizer, "<|turn>"),
      .turn_close = require_control(tokenizer, "<turn|>"),
      .channel_open = require_control(tokenizer, "<|channel>"),
      .channel_close = require_control(tokenizer, "<channel|>"),
      .think = require_control(tokenizer, "<|think|>"),
      .call_open = require_control(tokenizer, "<|tool_call>"),
      .call_close = require_control(tokenizer, "<tool_call|>"),
      .response_open = require_control(tokenizer, "<|tool_response>"),
      .delimiter = require_control(tokenizer, "<|\"|>"),
      .eos = require_control(tokenizer, "<eos>"),
  };
}

}  // namespace lapidary
