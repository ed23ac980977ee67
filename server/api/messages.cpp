#include "server/api/messages.h"

#include <optional>
#include <string>
#include <utility>

#include "server/api/tool_messages.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxMessages = 2048;
constexpr size_t kMaxParts = 256;
constexpr size_t kAnyLength = SIZE_MAX;  // the body's size is the limit

Role parse_role(const Fields& message) {
  const auto role = message.text("role", 64);
  if (!role) throw api_error::missing_parameter(message.path("role"));
  if (*role == "system") return Role::kSystem;
  if (*role == "developer") return Role::kDeveloper;
  if (*role == "user") return Role::kUser;
  if (*role == "assistant" || *role == "model") return Role::kAssistant;
  if (*role == "tool" || *role == "function") return Role::kTool;
  throw api_error::invalid_value(
      message.path("role"),
      "supported values are 'system', 'developer', 'user', 'assistant' and 'tool'.");
}

std::string required_text(const Fields& part, const char* name) {
  auto text = part.text(name, kAnyLength);
  if (!text) throw api_error::missing_parameter(part.path(name));
  return *std::move(text);
}

ChatPart parse_part(const Json& value, const std::string& path, Role role, ImageInputs& images) {
  check_object(value, path);
  const Fields part(value, path);
  const auto type = part.text("type", 64);
  if (!type) throw api_error::missing_parameter(part.path("type"));
  if (*type == "text") return {PartKind::kText, required_text(part, "text")};
  if (*type == "refusal" && role == Role::kAssistant) {
    return {PartKind::kText, required_text(part, "refusal")};
  }
  if (*type == "image_url" && (role == Role::kUser || role == Role::kTool)) {
    return {.kind = PartKind::kImage, .text = {}, .media = images.add(part)};
  }
  for (const char* known : {"image_url", "input_audio", "audio_url", "video_url", "input_video",
                            "file", "refusal", "image_embeds"}) {
    if (*type == known) {
      throw api_error::unsupported_value(
          part.path("type"), "content parts of type '" + *type +
                                 "' cannot be read by this server here; it takes 'text'.");
    }
  }
  throw api_error::invalid_value(part.path("type"),
                                 "content parts are of type 'text' or 'image_url'.");
}

ChatContent parse_content(const Fields& message, Role role, ImageInputs& images) {
  const Json* content = message.find("content");
  const std::string path = message.path("content");
  if (content == nullptr) {
    if (role == Role::kAssistant) return std::string();
    throw api_error::missing_parameter(path);
  }
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array()) {
    throw api_error::invalid_type(path, "a string or an array of parts", type_name(*content));
  }
  check_array(*content, path, 1, kMaxParts);
  std::vector<ChatPart> parts;
  for (size_t i = 0; i < content->size(); ++i) {
    parts.push_back(parse_part((*content)[i], path + "[" + std::to_string(i) + "]", role, images));
  }
  return parts;
}

std::string parse_reasoning(const Fields& message) {
  for (const char* name : {"reasoning", "reasoning_content"}) {
    if (auto text = message.text(name, kAnyLength); text && !text->empty()) {
      return *std::move(text);
    }
  }
  return {};
}

ChatMessage parse_message(const Json& value, const std::string& path, ImageInputs& images) {
  check_object(value, path);
  const Fields message(value, path);
  const Role role = parse_role(message);
  message.text("name", 256);
  const Json* audio = message.find("audio");
  if (audio != nullptr && !(audio->is_structured() && audio->empty())) {
    throw api_error::unsupported_parameter(message.path("audio"),
                                           "This server does not serve it yet.");
  }
  ChatMessage parsed{.role = role, .content = parse_content(message, role, images)};
  if (role == Role::kAssistant) {
    parsed.reasoning = parse_reasoning(message);
    parsed.tool_calls = parse_tool_calls(message);
  }
  if (role == Role::kTool) {
    parsed.tool_call_id = parse_tool_call_id(message, message.text("role", 64) == "function");
  }
  return parsed;
}

}  // namespace

std::vector<ChatMessage> parse_messages(const Fields& body, ImageInputs& images) {
  const Json* list = body.array("messages", 1, kMaxMessages);
  if (list == nullptr) throw api_error::missing_parameter("messages");
  std::vector<ChatMessage> messages;
  for (size_t i = 0; i < list->size(); ++i) {
    messages.push_back(parse_message((*list)[i], "messages[" + std::to_string(i) + "]", images));
  }
  return messages;
}

}  // namespace lapidary
