// A conversation as typed values: what the API room makes of a request and the prompt renderer
// turns into Gemma's own format. Plain data; JSON only where a tool's schema or arguments are JSON
// of any form. Built and read on one HTTP thread.
// What the API room has already refused or mapped before it fills these: unknown roles and part
// types, null texts, images in a system message, a role `tool` that answers no call; role `model`
// becomes kAssistant, a null content an empty string.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

namespace lapidary {

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool };

enum class PartKind { kText, kImage, kAudio, kVideo };

struct ChatPart {
  PartKind kind = PartKind::kText;
  std::string text;  // UTF-8; kText only
  int media = -1;    // others: its place in the request's list of media
};

// A string and a list of parts are different things to the template (a system prompt given as
// parts keeps a space behind each), so the message remembers which one the client sent.
using ChatContent = std::variant<std::string, std::vector<ChatPart>>;

// A function that the model may call.
struct ToolDeclaration {
  std::string name;
  std::string description;
  nlohmann::json parameters;  // as shown_parameters() makes them; null: none
};

// A call that the model made earlier.
struct ToolCall {
  std::string id;
  std::string name;
  nlohmann::json arguments = nlohmann::json::object();  // an object
  // As the model generated it, its opening and closing token among them; empty: the template's
  // spelling of the arguments.
  std::vector<int32_t> tokens = {};
};

struct ChatMessage {
  Role role = Role::kUser;
  ChatContent content;
  // The thought of an assistant message (`reasoning`, else `reasoning_content`); empty: none.
  std::string reasoning = {};
  std::vector<ToolCall> tool_calls = {};  // kAssistant only
  std::string tool_call_id = {};          // kTool only: the call that it answers
};

// The two revisions of the official template in use. kSmall is that of E2B and E4B, the models
// with per-layer embeddings (hidden_size_per_layer_input > 0); kLarge that of all others.
enum class TemplateVariant { kLarge, kSmall };

enum class PromptEnd {
  kGenerate,      // a model turn is opened: add_generation_prompt true
  kClosed,        // ends behind the last message: add_generation_prompt false
  kContinueLast,  // the last message, an assistant's, stays open and is continued
};

struct RenderOptions {
  TemplateVariant variant = TemplateVariant::kLarge;
  bool enable_thinking = false;
  // Keeps the thoughts of earlier turns where they led to tool calls.
  bool preserve_thinking = false;
  PromptEnd end = PromptEnd::kGenerate;
  std::span<const ToolDeclaration> tools = {};  // what the model may call; must outlive the options
};

}  // namespace lapidary
