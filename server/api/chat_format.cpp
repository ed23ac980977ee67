#include "server/api/chat_format.h"

#include "server/api/answer_format.h"
#include "server/api/json_text.h"

namespace lapidary {
namespace {

void append_field(std::string& out, const char* name, std::string_view text) {
  out += '"';
  out += name;
  out += "\":";
  append_json_string(out, text);
}

void append_function(std::string& out, std::string_view name, std::string_view arguments) {
  out += '{';
  append_field(out, "name", name);
  out += ',';
  append_field(out, "arguments", arguments);
  out += '}';
}

void append_index(std::string& out, const ToolCallDelta& call) {
  out += "{\"tool_calls\":[{\"index\":";
  append_json_integer(out, call.index);
  out += ',';
}

void append_calls(std::string& out, const std::vector<ToolCallDelta>& calls) {
  out += ",\"tool_calls\":[";
  for (size_t i = 0; i < calls.size(); ++i) {
    if (i > 0) out += ',';
    out += '{';
    append_field(out, "id", calls[i].id);
    out += ",\"type\":\"function\",\"function\":";
    append_function(out, calls[i].name, calls[i].arguments);
    out += '}';
  }
  out += ']';
}

}  // namespace

const char* chat_finish_text(FinishReason finish, bool has_calls, const ChatShape& shape) {
  if (finish != FinishReason::stop || !has_calls) return finish_text(finish);
  return shape.is_legacy ? "\"function_call\"" : "\"tool_calls\"";
}

void append_message(std::string& out, const WholeChoice& choice, const ChatShape& shape) {
  out += "{\"role\":\"assistant\",";
  if (!choice.reasoning.empty()) append_reasoning(out, shape.reasoning_field, choice.reasoning);
  out += "\"content\":";
  if (choice.calls.empty()) {
    append_json_string(out, choice.content);
  } else {
    append_json_string_or_null(out, choice.content);
  }
  out += ",\"refusal\":null";
  if (shape.is_legacy && !choice.calls.empty()) {
    out += ",\"function_call\":";
    append_function(out, choice.calls.front().name, choice.calls.front().arguments);
  } else if (!choice.calls.empty()) {
    append_calls(out, choice.calls);
  }
  out += '}';
}

void append_role_delta(std::string& out) { out += "{\"role\":\"assistant\",\"content\":\"\"}"; }

void append_text_delta(std::string& out, const ChoiceDelta& delta, const ChatShape& shape) {
  const std::string& reasoning = delta.reasoning;
  out += '{';
  if (!reasoning.empty()) {
    append_reasoning(out, shape.reasoning_field, reasoning);
    out.pop_back();
  }
  if (!delta.content.empty() || reasoning.empty()) {
    if (!reasoning.empty()) out += ',';
    append_field(out, "content", delta.content);
  }
  out += '}';
}

void append_call_start(std::string& out, const ToolCallDelta& call, const ChatShape& shape) {
  if (shape.is_legacy) {
    out += "{\"function_call\":";
    append_function(out, call.name, "");
    out += '}';
    return;
  }
  append_index(out, call);
  append_field(out, "id", call.id);
  out += ",\"type\":\"function\",\"function\":";
  append_function(out, call.name, "");
  out += "}]}";
}

void append_call_arguments(std::string& out, const ToolCallDelta& call, const ChatShape& shape) {
  if (shape.is_legacy) {
    out += "{\"function_call\":{";
    append_field(out, "arguments", call.arguments);
    out += "}}";
    return;
  }
  append_index(out, call);
  out += "\"function\":{";
  append_field(out, "arguments", call.arguments);
  out += "}}]}";
}

}  // namespace lapidary
