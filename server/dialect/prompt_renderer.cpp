#include "server/dialect/prompt_renderer.h"

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "kernels/check.h"
#include "server/dialect/tool_writer.h"
#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

constexpr std::string_view kChannelOpen = "<|channel>";
constexpr std::string_view kChannelClose = "<channel|>";

void open_turn(std::string_view role, PromptWriter& writer) {
  writer.control("<|turn>");
  writer.text(role);
  writer.text("\n");
}

void close_turn(PromptWriter& writer) {
  writer.control("<turn|>");
  writer.text("\n");
}

void open_thought(PromptWriter& writer) {
  writer.control(kChannelOpen);
  writer.text("thought\n");
}

bool is_system(Role role) { return role == Role::kSystem || role == Role::kDeveloper; }

std::string_view turn_name(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kDeveloper:
      return "developer";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "model";
    case Role::kTool:
      break;
  }
  CHECK(false);  // a tool message has no turn of its own
}

std::string_view placeholder(PartKind kind) {
  switch (kind) {
    case PartKind::kImage:
      return "<|image|>";
    case PartKind::kAudio:
      return "<|audio|>";
    case PartKind::kVideo:
      return "<|video|>";
    case PartKind::kText:
      break;
  }
  CHECK(false);
}

// Thoughts that an assistant's text still carries in raw form do not go back to the model. Each
// piece before a closer is cut at its first opener, so an opener that is never closed takes the
// rest with it, and a stray closer just disappears.
std::string strip_thoughts(std::string_view text) {
  std::string kept;
  while (true) {
    const size_t close = text.find(kChannelClose);
    const std::string_view piece = text.substr(0, close);
    kept += piece.substr(0, piece.find(kChannelOpen));
    if (close == std::string_view::npos) break;
    text.remove_prefix(close + kChannelClose.size());
  }
  return std::string(strip(kept));
}

// The system prompt at the head of a conversation. Given as parts, every part is followed by a
// space, and a part that is no text leaves its space behind.
void write_system_content(const ChatContent& content, PromptWriter& writer) {
  if (const std::string* text = std::get_if<std::string>(&content)) {
    writer.text(strip(*text));
    return;
  }
  for (const ChatPart& part : std::get<std::vector<ChatPart>>(content)) {
    if (part.kind == PartKind::kText) writer.text(strip(part.text));
    writer.text(" ");
  }
}

void write_text(Role role, std::string_view text, PromptWriter& writer) {
  writer.text(role == Role::kAssistant ? strip_thoughts(text) : std::string(strip(text)));
}

void write_content(const ChatMessage& message, PromptWriter& writer) {
  if (const std::string* text = std::get_if<std::string>(&message.content)) {
    write_text(message.role, *text, writer);
    return;
  }
  for (const ChatPart& part : std::get<std::vector<ChatPart>>(message.content)) {
    if (part.kind == PartKind::kText) {
      write_text(message.role, part.text, writer);
    } else {
      writer.media(placeholder(part.kind), part.media);
    }
  }
}

bool has_content(const ChatMessage& message) {
  PromptWriter probe;
  write_content(message, probe);
  return !probe.empty();
}

// A message with a turn of its own, and the tools' messages that answer its calls: those that
// directly follow it.
struct Turn {
  const ChatMessage* message;
  std::span<const ChatMessage> results;
};

using Turns = std::vector<Turn>;

Turns turns_of(std::span<const ChatMessage> messages) {
  Turns turns;
  for (size_t i = 0; i < messages.size();) {
    size_t end = i + 1;
    while (end < messages.size() && messages[end].role == Role::kTool) ++end;
    // A result that answers no call is not shown, as in the template.
    if (messages[i].role != Role::kTool) {
      const bool calls = !messages[i].tool_calls.empty();
      turns.push_back({&messages[i], messages.subspan(i + 1, calls ? end - i - 1 : 0)});
    }
    i = end;
  }
  return turns;
}

// Index behind the last user turn; 0 if there is none. Thoughts before it are not shown again.
size_t first_after_user(const Turns& turns) {
  size_t first = 0;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].message->role == Role::kUser) first = i + 1;
  }
  return first;
}

bool is_assistant(const Turns& turns, size_t i) {
  return i < turns.size() && turns[i].message->role == Role::kAssistant;
}

// Assistant messages in a row share one turn.
void write_turn_header(const Turns& turns, size_t i, PromptWriter& writer) {
  const bool shares_turn = is_assistant(turns, i) && i > 0 && is_assistant(turns, i - 1);
  if (!shares_turn) open_turn(turn_name(turns[i].message->role), writer);
}

// Of several calls with one id the last counts.
std::string_view called_name(const ChatMessage& message, const std::string& id) {
  std::string_view name = "unknown";
  for (const ToolCall& call : message.tool_calls) {
    if (call.id == id) name = call.name;
  }
  return name;
}

void write_result(const ChatMessage& result, std::string_view name, PromptWriter& writer) {
  if (const std::string* text = std::get_if<std::string>(&result.content)) {
    write_response(name, *text, writer);
    return;
  }
  const auto& parts = std::get<std::vector<ChatPart>>(result.content);
  std::string text;
  for (const ChatPart& part : parts) text += part.text;
  write_response(name, text, writer);
  for (const ChatPart& part : parts) {
    if (part.kind != PartKind::kText) writer.media(placeholder(part.kind), part.media);
  }
}

void write_turn_body(const Turn& turn, bool show_thought, PromptWriter& writer) {
  const ChatMessage& message = *turn.message;
  if (show_thought && !message.reasoning.empty()) {
    open_thought(writer);
    writer.text(message.reasoning);
    writer.text("\n");
    writer.control(kChannelClose);
  }
  for (const ToolCall& call : message.tool_calls) write_call(call, writer);
  for (const ChatMessage& result : turn.results) {
    write_result(result, called_name(message, result.tool_call_id), writer);
  }
  write_content(message, writer);
}

// What a prompt may end with.
enum class TurnEnd { kClosed, kBehindCall, kBehindResult };

// Behind what turn `i` of a model leaves: its calls wait for results, or the results for what the
// model says to them.
TurnEnd end_of(const Turns& turns, size_t i) {
  const Turn& turn = turns[i];
  if (turn.message->tool_calls.empty()) return TurnEnd::kClosed;
  if (turn.results.empty()) return TurnEnd::kBehindCall;
  const bool is_last = i + 1 == turns.size();
  return is_last && !has_content(*turn.message) ? TurnEnd::kBehindResult : TurnEnd::kClosed;
}

// All turns; without the last one if that is to be continued.
void write_turns(const Turns& turns, const RenderOptions& options, PromptWriter& writer) {
  const size_t shown_from = first_after_user(turns);
  const bool leave_out_last = options.end == PromptEnd::kContinueLast;
  const size_t n_written = turns.size() - (leave_out_last ? 1 : 0);
  for (size_t i = 0; i < n_written; ++i) {
    const ChatMessage& message = *turns[i].message;
    write_turn_header(turns, i, writer);
    const bool keeps_thought = options.preserve_thinking && !message.tool_calls.empty();
    write_turn_body(turns[i], i >= shown_from || keeps_thought, writer);
    const bool goes_on = is_assistant(turns, i) && is_assistant(turns, i + 1);
    const TurnEnd end = end_of(turns, i);
    if (end == TurnEnd::kBehindCall) {
      writer.control("<|tool_response>");
    } else if (end == TurnEnd::kClosed && !goes_on) {
      close_turn(writer);
    }
  }
}

// The last message without its end; true if that is inside its thought. It stands behind the last
// user turn by being last, so its thought is always shown.
bool write_open_turn(const Turns& turns, PromptWriter& writer) {
  const ChatMessage& message = *turns.back().message;
  write_turn_header(turns, turns.size() - 1, writer);
  const bool in_thought = !message.reasoning.empty() && !has_content(message);
  if (in_thought) {
    open_thought(writer);
    writer.text(message.reasoning);
  } else {
    write_turn_body(turns.back(), true, writer);
  }
  return in_thought;
}

void write_system_turn(const ChatMessage* message, const RenderOptions& options,
                       PromptWriter& writer) {
  open_turn("system", writer);
  if (options.enable_thinking) {
    writer.control("<|think|>");
    writer.text("\n");
  }
  if (message != nullptr) write_system_content(message->content, writer);
  for (const ToolDeclaration& tool : options.tools) write_declaration(tool, writer);
  close_turn(writer);
}

// True if the model's first token is part of a thought.
bool write_generation_prompt(TurnEnd end, const RenderOptions& options, PromptWriter& writer) {
  if (end == TurnEnd::kBehindCall) return false;
  if (end == TurnEnd::kBehindResult) {
    if (options.enable_thinking) open_thought(writer);
    return options.enable_thinking;
  }
  open_turn("model", writer);
  if (options.variant == TemplateVariant::kLarge && !options.enable_thinking) {
    open_thought(writer);
    writer.control(kChannelClose);
  }
  return false;
}

}  // namespace

std::string RenderedPrompt::text() const {
  std::string all;
  for (const PromptPiece& piece : pieces) all += piece.text;
  return all;
}

RenderedPrompt render_prompt(std::span<const ChatMessage> messages, const RenderOptions& options) {
  PromptWriter writer;
  writer.control("<bos>");
  const bool has_system = !messages.empty() && is_system(messages.front().role);
  if (has_system || options.enable_thinking || !options.tools.empty()) {
    write_system_turn(has_system ? &messages.front() : nullptr, options, writer);
  }
  const Turns turns = turns_of(messages.subspan(has_system ? 1 : 0));
  const bool continues = options.end == PromptEnd::kContinueLast;
  CHECK(!continues ||
        (is_assistant(turns, turns.size() - 1) && turns.back().message->tool_calls.empty()));
  write_turns(turns, options, writer);
  bool in_thought = continues && write_open_turn(turns, writer);
  if (options.end == PromptEnd::kGenerate) {
    const TurnEnd end = turns.empty() ? TurnEnd::kClosed : end_of(turns, turns.size() - 1);
    in_thought = write_generation_prompt(end, options, writer);
  }
  return {writer.take(), in_thought};
}

namespace {

void append_control(std::string_view name, const Tokenizer& tokenizer, std::vector<int32_t>& ids) {
  const std::optional<int32_t> id = tokenizer.control_id(name);
  CHECK(id.has_value());
  ids.push_back(*id);
}

}  // namespace

EncodedPrompt encode_prompt(const RenderedPrompt& prompt, const Tokenizer& tokenizer,
                            std::span<const int> n_soft_tokens) {
  EncodedPrompt encoded;
  std::vector<int32_t>& ids = encoded.tokens;
  for (const PromptPiece& piece : prompt.pieces) {
    if (piece.media >= 0) {
      const int count = n_soft_tokens[static_cast<size_t>(piece.media)];
      append_control("<|image>", tokenizer, ids);
      encoded.media.push_back({piece.media, static_cast<int>(ids.size()), count});
      append_control(piece.text, tokenizer, ids);
      ids.insert(ids.end(), static_cast<size_t>(count - 1), ids.back());
      append_control("<image|>", tokenizer, ids);
    } else if (!piece.tokens.empty()) {
      ids.insert(ids.end(), piece.tokens.begin(), piece.tokens.end());
    } else if (piece.is_control) {
      append_control(piece.text, tokenizer, ids);
    } else {
      tokenizer.encode(piece.text, ids);
    }
  }
  return encoded;
}

std::vector<int32_t> encode_prompt(const RenderedPrompt& prompt, const Tokenizer& tokenizer) {
  return encode_prompt(prompt, tokenizer, {}).tokens;
}

}  // namespace lapidary
