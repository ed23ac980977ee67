// Renders a conversation the way Google's chat template of 2026-07-09 does, byte for byte, as a
// sequence of control tokens and texts. Pure functions, any thread. Control tokens come only from
// the template itself: whatever a message says, even "<turn|>", stays text, and is tokenized as
// such. Text between two control tokens is ONE piece, so that byte-pair merges may cross from the
// template's words into the user's; cutting there would change ids.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/text/tokenizer.h"
#include "server/dialect/chat.h"
#include "server/dialect/prompt_writer.h"

namespace lapidary {

struct RenderedPrompt {
  std::vector<PromptPiece> pieces;  // no two texts in a row
  // The prompt ends inside an open thought: the model's first token is reasoning. So when it goes
  // on behind a tool's result with thinking enabled, and when PromptEnd::kContinueLast continues a
  // message that has a thought and no content yet.
  bool starts_in_thought = false;

  // The prompt as the official template prints it; nothing of pieces that are tokens.
  std::string text() const;
};

// In one case the text is not the template's: behind a model turn that called tools, got results
// and said something, it closes the turn and opens none for the answer (or, with thinking, only a
// bare thought); here a model turn is opened as ever.
//
// PromptEnd::kContinueLast REQUIRES that the last message is an assistant's, without tool calls. It
// has no counterpart
// in the template; the result is the template's up to the end of that message's text, trimmed as
// ever, and nothing behind it. With reasoning but empty content, the thought itself is continued.
RenderedPrompt render_prompt(std::span<const ChatMessage> messages, const RenderOptions& options);

struct EncodedPrompt {
  struct Place {
    int media = 0;             // in the request's list
    int first = 0, count = 0;  // of the soft tokens
  };

  std::vector<int32_t> tokens;
  std::vector<Place> media;  // ascending
};

// An image becomes <|image>, its soft tokens' placeholders, <image|>. `n_soft_tokens`: of each in
// the request's list; a placeholder without a place in it stays a single token.
// REQUIRES that the tokenizer has every control token of the prompt (DialectTokens::from has seen
// to it for the text dialect; for media placeholders the API room has).
EncodedPrompt encode_prompt(const RenderedPrompt& prompt, const Tokenizer& tokenizer,
                            std::span<const int> n_soft_tokens);
// Of a prompt without media.
std::vector<int32_t> encode_prompt(const RenderedPrompt& prompt, const Tokenizer& tokenizer);

}  // namespace lapidary
