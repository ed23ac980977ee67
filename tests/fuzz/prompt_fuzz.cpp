// Any conversation renders, and its ids hold exactly the control tokens that the template wrote.
// Input: byte 0 = options; then messages, each a byte of role (bits 0-2) and shape, then text up to
// the next byte 0xFF. Texts may be anything, invalid UTF-8 included.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "kernels/check.h"
#include "server/dialect/prompt_renderer.h"

namespace {

using namespace lapidary;

const Tokenizer& tokenizer() {
  static const Tokenizer loaded =
      Tokenizer::from_file(LAPIDARY_SOURCE_DIR "/tests/golden/tokenizer_small/tokenizer.json");
  return loaded;
}

ChatMessage message_of(uint8_t shape, const std::string& text) {
  ChatMessage message;
  message.role = static_cast<Role>((shape & 7) % 5);
  if ((shape & 0x20) != 0) message.reasoning = text;
  if ((shape & 0x40) == 0) {
    message.content = (shape & 0x80) != 0 ? std::string() : text;
  } else {
    message.content = std::vector<ChatPart>{{PartKind::kText, text},
                                            {static_cast<PartKind>(shape >> 3 & 3), text}};
  }
  return message;
}

std::vector<ChatMessage> conversation_of(std::string_view input) {
  std::vector<ChatMessage> messages;
  while (!input.empty()) {
    const size_t end = input.find('\xFF');
    const std::string_view one = input.substr(0, end);
    if (!one.empty()) {
      messages.push_back(message_of(static_cast<uint8_t>(one[0]), std::string(one.substr(1))));
    }
    if (end == std::string_view::npos) break;
    input.remove_prefix(end + 1);
  }
  return messages;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<ChatMessage> messages =
      conversation_of({reinterpret_cast<const char*>(data) + 1, size - 1});
  RenderOptions options;
  options.variant = (data[0] & 1) != 0 ? TemplateVariant::kLarge : TemplateVariant::kSmall;
  options.enable_thinking = (data[0] & 2) != 0;
  options.end = (data[0] & 4) != 0 ? PromptEnd::kGenerate : PromptEnd::kClosed;
  const bool can_continue = !messages.empty() && messages.back().role == Role::kAssistant;
  if ((data[0] & 8) != 0 && can_continue) options.end = PromptEnd::kContinueLast;

  const RenderedPrompt prompt = render_prompt(messages, options);
  size_t n_control = 0;
  for (size_t i = 0; i < prompt.pieces.size(); ++i) {
    const PromptPiece& piece = prompt.pieces[i];
    CHECK(!piece.text.empty());
    CHECK(i == 0 || piece.is_control || prompt.pieces[i - 1].is_control);
    n_control += piece.is_control ? 1 : 0;
  }
  for (const int32_t id : encode_prompt(prompt, tokenizer())) {
    if (tokenizer().is_control(id)) {
      CHECK(n_control > 0);
      --n_control;
    }
  }
  CHECK(n_control == 0);
  return 0;
}
