#include "server/dialect/prompt_renderer.h"

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "kernels/check.h"
#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

constexpr std::string_view kChannelOpen = "<|channel>";
constexpr std::string_view kChannelClose = "<channel|>";

// Gathers pieces; adjacent texts become one, so that each is a whole byte-pair run.
class PromptWriter {
 public:
  void control(std::string_view name) {
    prompt_.pieces.push_back({.is_control = true, .text = std::string(name)});
  }

  void text(std::string_view text) {
    if (text.empty()) return;
    if (prompt_.pieces.empty() || prompt_.pieces.back().is_control) prompt_.pieces.emplace_back();
    prompt_.pieces.back().text += text;
  }

  void open_turn(std::string_view role) {
    control("<|turn>");
    text(role);
    text("\n");
  }

  void close_turn() {
    control("<turn|>");
    text("\n");
  }

  void open_thought() {
    control(kChannelOpen);
    text("thought\n");
  }

  RenderedPrompt finish(bool starts_in_thought) {
    prompt_.starts_in_thought = starts_in_thought;
    return std::move(prompt_);
  }

 private:
  RenderedPrompt prompt_;
};

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
      writer.control(placeholder(part.kind));
    }
  }
}

bool has_content(const ChatMessage& message) {
  PromptWriter probe;
  write_content(message, probe);
  return !probe.finish(false).pieces.empty();
}

using Turns = std::vector<const ChatMessage*>;

// A tool's message has no turn of its own: it belongs to the call it answers.
Turns turns_of(std::span<const ChatMessage> messages) {
  Turns turns;
  for (const ChatMessage& message : messages) {
    if (message.role != Role::kTool) turns.push_back(&message);
  }
  return turns;
}

// Index behind the last user turn; 0 if there is none. Thoughts before it are not shown again.
size_t first_after_user(const Turns& turns) {
  size_t first = 0;
  for (size_t i = 0; i < turns.size(); ++i) {
    if (turns[i]->role == Role::kUser) first = i + 1;
  }
  return first;
}

bool is_assistant(const Turns& turns, size_t i) {
  return i < turns.size() && turns[i]->role == Role::kAssistant;
}

// Assistant messages in a row share one turn.
void write_turn_header(const Turns& turns, size_t i, PromptWriter& writer) {
  const bool shares_turn = is_assistant(turns, i) && i > 0 && is_assistant(turns, i - 1);
  if (!shares_turn) writer.open_turn(turn_name(turns[i]->role));
}

void write_turn_body(const ChatMessage& message, bool show_thought, PromptWriter& writer) {
  if (show_thought && !message.reasoning.empty()) {
    writer.open_thought();
    writer.text(message.reasoning);
    writer.text("\n");
    writer.control(kChannelClose);
  }
  write_content(message, writer);
}

// All turns, each closed; without the last one if that stays open.
void write_turns(const Turns& turns, bool leave_open, PromptWriter& writer) {
  const size_t shown_from = first_after_user(turns);
  const size_t n_closed = turns.size() - (leave_open ? 1 : 0);
  for (size_t i = 0; i < n_closed; ++i) {
    write_turn_header(turns, i, writer);
    write_turn_body(*turns[i], i >= shown_from, writer);
    if (!is_assistant(turns, i) || !is_assistant(turns, i + 1)) writer.close_turn();
  }
}

// The last message without its end; true if that is inside its thought. It stands behind the last
// user turn by being last, so its thought is always shown.
bool write_open_turn(const Turns& turns, PromptWriter& writer) {
  const ChatMessage& message = *turns.back();
  write_turn_header(turns, turns.size() - 1, writer);
  const bool in_thought = !message.reasoning.empty() && !has_content(message);
  if (in_thought) {
    writer.open_thought();
    writer.text(message.reasoning);
  } else {
    write_turn_body(message, true, writer);
  }
  return in_thought;
}

void write_system_turn(const ChatMessage* message, bool enable_thinking, PromptWriter& writer) {
  writer.open_turn("system");
  if (enable_thinking) {
    writer.control("<|think|>");
    writer.text("\n");
  }
  if (message != nullptr) write_system_content(message->content, writer);
  writer.close_turn();
}

void write_generation_prompt(const RenderOptions& options, PromptWriter& writer) {
  writer.open_turn("model");
  if (options.variant == TemplateVariant::kLarge && !options.enable_thinking) {
    writer.open_thought();
    writer.control(kChannelClose);
  }
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
  if (has_system || options.enable_thinking) {
    write_system_turn(has_system ? &messages.front() : nullptr, options.enable_thinking, writer);
  }
  const Turns turns = turns_of(messages.subspan(has_system ? 1 : 0));
  const bool leave_open = options.end == PromptEnd::kContinueLast;
  CHECK(!leave_open || is_assistant(turns, turns.size() - 1));
  write_turns(turns, leave_open, writer);
  const bool in_thought = leave_open && write_open_turn(turns, writer);
  if (options.end == PromptEnd::kGenerate) write_generation_prompt(options, writer);
  return writer.finish(in_thought);
}

std::vector<int32_t> encode_prompt(const RenderedPrompt& prompt, const Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const PromptPiece& piece : prompt.pieces) {
    if (piece.is_control) {
      const std::optional<int32_t> id = tokenizer.control_id(piece.text);
      CHECK(id.has_value());
      ids.push_back(*id);
    } else {
      tokenizer.encode(piece.text, ids);
    }
  }
  return ids;
}

}  // namespace lapidary
