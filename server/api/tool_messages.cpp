#include "server/api/tool_messages.h"

#include <algorithm>
#include <span>
#include <utility>

#include "config/json_scan.h"
#include "server/api/tools.h"
#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxCalls = 128;
constexpr size_t kMaxIdBytes = 256;
constexpr size_t kMaxArgumentBytes = 4 << 20;

// JSON text of an object, as it was answered; some clients send the object itself.
Json parse_arguments(const Fields& function) {
  const Json* arguments = function.find("arguments");
  const std::string path = function.path("arguments");
  if (arguments == nullptr) return Json::object();
  if (arguments->is_object()) return *arguments;
  const std::string text = checked_text(*arguments, path, kMaxArgumentBytes);
  if (strip(text).empty()) return Json::object();
  // A model may name a key twice; the last one counts.
  const JsonLimits limits{.max_bytes = kMaxArgumentBytes, .reject_duplicate_keys = false};
  if (const auto fault = scan_json(text, limits)) {
    throw api_error::invalid_value(path, "it is not valid JSON: " + fault->reason + ".");
  }
  Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_null()) return Json::object();
  if (!parsed.is_object()) throw api_error::invalid_value(path, "it must be an object in JSON.");
  return parsed;
}

ToolCall parse_function_call(const Fields& function, std::string id) {
  return {.id = std::move(id),
          .name = parse_function_name(function),
          .arguments = parse_arguments(function)};
}

ToolCall parse_call(const Json& value, const std::string& path) {
  check_object(value, path);
  const Fields call(value, path);
  auto id = call.text("id", kMaxIdBytes);
  if (!id) throw api_error::missing_parameter(call.path("id"));
  if (const auto type = call.text("type", 64); type && *type != "function") {
    throw api_error::unsupported_value(call.path("type"), "the only calls are of type 'function'.");
  }
  const Json* function = call.object("function");
  if (function == nullptr) throw api_error::missing_parameter(call.path("function"));
  return parse_function_call(Fields(*function, call.path("function")), *std::move(id));
}

std::string message_path(size_t index) { return "messages[" + std::to_string(index) + "]"; }

// The messages of role `tool` from `first` on.
std::span<const ChatMessage> results_at(const std::vector<ChatMessage>& messages, size_t first) {
  size_t end = first;
  while (end < messages.size() && messages[end].role == Role::kTool) ++end;
  return std::span(messages).subspan(first, end - first);
}

void check_answers(const ChatMessage& message, std::span<const ChatMessage> results, size_t index) {
  for (size_t i = 0; i < results.size(); ++i) {
    const auto is_it = [&](const ToolCall& call) { return call.id == results[i].tool_call_id; };
    if (std::none_of(message.tool_calls.begin(), message.tool_calls.end(), is_it)) {
      throw api_error::invalid_value(message_path(index + 1 + i) + ".tool_call_id",
                                     "no call of the message before has this id.");
    }
  }
  for (const ToolCall& call : message.tool_calls) {
    const auto is_it = [&](const ChatMessage& result) { return result.tool_call_id == call.id; };
    if (std::none_of(results.begin(), results.end(), is_it)) {
      throw api_error::invalid_value(
          message_path(index) + (call.id.empty() ? ".function_call" : ".tool_calls"),
          "every call must be answered by a tool's result right behind it.");
    }
  }
}

}  // namespace

std::vector<ToolCall> parse_tool_calls(const Fields& message) {
  std::vector<ToolCall> calls;
  if (const Json* function = message.object("function_call")) {
    calls.push_back(parse_function_call(Fields(*function, message.path("function_call")), {}));
  }
  const Json* list = message.array("tool_calls", 0, kMaxCalls);
  if (list == nullptr || list->empty()) return calls;
  if (!calls.empty()) {
    throw api_error::invalid_value(message.path("function_call"), "it excludes 'tool_calls'.");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    calls.push_back(
        parse_call((*list)[i], message.path("tool_calls") + "[" + std::to_string(i) + "]"));
  }
  return calls;
}

std::string parse_tool_call_id(const Fields& message, bool is_legacy) {
  if (is_legacy) {
    parse_function_name(message);
    return {};  // as that of the call
  }
  const auto id = message.text("tool_call_id", kMaxIdBytes);
  if (!id) throw api_error::missing_parameter(message.path("tool_call_id"));
  return *id;
}

void check_tool_results(const std::vector<ChatMessage>& messages, bool generates) {
  for (size_t i = 0; i < messages.size();) {
    if (messages[i].role == Role::kTool) {
      throw api_error::invalid_value(message_path(i) + ".role",
                                     "a tool's result must answer a call of the assistant's "
                                     "message before it.");
    }
    const auto results = results_at(messages, i + 1);
    const bool is_open_end = i + 1 == messages.size() && !generates;
    const bool has_calls = !messages[i].tool_calls.empty();
    if (has_calls && !is_open_end) check_answers(messages[i], results, i);
    i += 1 + (has_calls ? results.size() : 0);
  }
}

}  // namespace lapidary
