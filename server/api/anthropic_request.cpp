#include "server/api/anthropic_request.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/api/anthropic_messages.h"
#include "server/api/fields.h"
#include "server/api/json_object.h"
#include "server/api/transcript.h"
#include "server/api/unsupported_fields.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

const std::vector<UnsupportedField>& unsupported() {
  static const std::vector<UnsupportedField> rows = {
      {"mcp_servers", "This server calls no other servers."},
      {"container", "This server runs no tools."},
      {"stop", "It is called 'stop_sequences' here."},
      {"max_completion_tokens", "It is called 'max_tokens' here."},
      {"response_format", "It is called 'output_config.format' here."},
      {"functions", "They are called 'tools' here."},
      {"function_call", "It is called 'tool_choice' here."},
      {"reasoning_effort", "Thinking is asked for with 'thinking' here."},
      {"reasoning", "Thinking is asked for with 'thinking' here."},
      {"thinking_token_budget", "It is called 'thinking.budget_tokens' here."},
      {"parallel_tool_calls", "It is called 'tool_choice.disable_parallel_tool_use' here.", {true}},
      {"n", "A message is one answer.", {1}},
      {"logprobs", "A message has no log-probabilities."},
      {"top_logprobs", "A message has no log-probabilities.", {0}},
      {"return_token_ids", "A message has no token ids."},
  };
  return rows;
}

// More than this server's context can be asked of any server: the answer then ends where the
// context does, and says so.
bool translate_limit(Json& chat, int max_model_len, bool counts) {
  const auto limit = Fields(chat).integer("max_tokens", 1, std::numeric_limits<int64_t>::max());
  if (!limit && !counts) throw api_error::missing_parameter("max_tokens");
  if (!limit || *limit <= max_model_len) return false;
  chat["max_tokens"] = max_model_len;
  return true;
}

void translate_messages(Json& chat, FieldOrigins& origins) {
  Transcript transcript(origins);
  const Json system = take(chat, "system");
  const Json messages = take(chat, "messages");
  if (messages.is_null()) throw api_error::missing_parameter("messages");
  add_system(system, transcript);
  add_messages(messages, transcript);
  // An answer that has begun is continued.
  if (transcript.ends_with_assistant()) {
    chat["continue_final_message"] = true;
    origins.add("continue_final_message",
                element_path("messages", messages.size() - 1) + ".content");
  }
  chat["messages"] = transcript.take();
}

void translate_tools(Json& chat, FieldOrigins& origins) {
  const auto tools = chat.find("tools");
  if (tools == chat.end() || !tools->is_array()) return;
  for (size_t i = 0; i < tools->size(); ++i) {
    const std::string path = element_path("tools", i);
    Json& tool = (*tools)[i];
    check_object(tool, path);
    const Fields fields(tool, path);
    const std::string type = fields.text("type", 64).value_or("custom");
    if (type != "custom") {
      throw api_error::unsupported_value(
          fields.path("type"),
          "the only tools are those with an 'input_schema', of type 'custom'.");
    }
    if (fields.find("input_schema") == nullptr) {
      throw api_error::missing_parameter(fields.path("input_schema"));
    }
    Json function = moved(tool, {"name", "description", "strict"});
    function["parameters"] = take(tool, "input_schema");
    tool = {{"type", "function"}, {"function", std::move(function)}};
    origins.add(path + ".function", path);
    origins.add(path + ".function.parameters", path + ".input_schema");
  }
}

void translate_tool_choice(Json& chat, FieldOrigins& origins) {
  const Json choice = take(chat, "tool_choice");
  if (choice.is_null()) return;
  check_object(choice, "tool_choice");
  const Fields fields(choice, "tool_choice");
  const auto type = fields.choice("type", {"auto", "any", "tool", "none"});
  if (!type) throw api_error::missing_parameter(fields.path("type"));
  if (fields.boolean("disable_parallel_tool_use").value_or(false)) {
    chat["parallel_tool_calls"] = false;
  }
  if (*type == "tool") {
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", field(choice, "name")}}}};
    origins.add("tool_choice.function", "tool_choice");
  } else {
    chat["tool_choice"] = *type == "any" ? "required" : *type;
    origins.add("tool_choice", "tool_choice.type");
  }
}

void set_thinking(Json& chat, bool enabled) {
  Json& kwargs = chat["chat_template_kwargs"];
  if (kwargs.is_null()) kwargs = Json::object();
  if (kwargs.is_object()) kwargs["enable_thinking"] = enabled;  // else refused later
}

void translate_thinking(Json& chat, int max_model_len, FieldOrigins& origins) {
  const Json thinking = take(chat, "thinking");
  if (thinking.is_null()) return;
  check_object(thinking, "thinking");
  const Fields fields(thinking, "thinking");
  const auto type = fields.choice("type", {"enabled", "disabled", "adaptive"});
  if (!type) throw api_error::missing_parameter(fields.path("type"));
  set_thinking(chat, *type != "disabled");
  const auto display = fields.choice("display", {"summarized", "full", "omitted"});
  if (display == "omitted") chat["include_reasoning"] = false;
  if (*type != "enabled") return;
  const auto budget = fields.integer("budget_tokens", 1, std::numeric_limits<int64_t>::max());
  if (!budget) throw api_error::missing_parameter(fields.path("budget_tokens"));
  const auto limit = Fields(chat).integer("max_tokens", 1, std::numeric_limits<int64_t>::max());
  if (limit && *budget >= *limit) {
    throw api_error::invalid_value(fields.path("budget_tokens"),
                                   "it must be less than 'max_tokens'.");
  }
  chat["thinking_token_budget"] = std::min<int64_t>(*budget, max_model_len);
  origins.add("thinking_token_budget", "thinking.budget_tokens");
}

// {"format":{"type":"json_schema","schema"},"effort"}; the effort moves nothing here.
void translate_output(Json& chat, FieldOrigins& origins) {
  const Json config = take(chat, "output_config");
  if (config.is_null()) return;
  check_object(config, "output_config");
  const Fields fields(config, "output_config");
  fields.choice("effort", {"low", "medium", "high", "xhigh", "max"});
  const Json* format = fields.object("format");
  if (format == nullptr) return;
  const Fields form(*format, "output_config.format");
  const auto type = form.choice("type", {"json_schema"});
  if (!type) throw api_error::missing_parameter(form.path("type"));
  if (form.find("schema") == nullptr) throw api_error::missing_parameter(form.path("schema"));
  chat["response_format"] = {
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "output"}, {"strict", true}, {"schema", field(*format, "schema")}}}};
  origins.add("response_format", "output_config.format");
  origins.add("response_format.json_schema", "output_config.format");
}

// The user's name is all there is in it.
void translate_metadata(Json& chat, FieldOrigins& origins) {
  const Json metadata = take(chat, "metadata");
  if (metadata.is_null()) return;
  check_object(metadata, "metadata");
  chat["user"] = field(metadata, "user_id");
  origins.add("user", "metadata.user_id");
}

// To forget earlier thoughts is what the template does by itself.
void check_context_management(Json& chat) {
  const Json management = take(chat, "context_management");
  if (management.is_null()) return;
  check_object(management, "context_management");
  const Fields fields(management, "context_management");
  const Json* edits = fields.array("edits", 0, 16);
  for (size_t i = 0; edits != nullptr && i < edits->size(); ++i) {
    const std::string path = element_path("context_management.edits", i);
    check_object((*edits)[i], path);
    const Fields edit((*edits)[i], path);
    const auto type = edit.text("type", 64);
    if (!type || !type->starts_with("clear_thinking_")) {
      throw api_error::unsupported_value(edit.path("type"),
                                         "prompts are never cut; send a shorter one.");
    }
  }
}

}  // namespace

AnthropicRequest translate_anthropic(Json body, int max_model_len, bool counts) {
  refuse_fields(Fields(body), unsupported());
  Fields(body).choice("service_tier", {"auto", "standard_only"});
  body.erase("service_tier");
  AnthropicRequest request;
  Json& chat = request.chat;
  FieldOrigins& origins = request.origins;
  chat = std::move(body);
  if (Json stops = take(chat, "stop_sequences"); !stops.is_null()) {
    check_array(stops, "stop_sequences", 0, std::numeric_limits<size_t>::max());
    chat["stop"] = std::move(stops);
    origins.add("stop", "stop_sequences");
  }
  translate_messages(chat, origins);
  translate_tools(chat, origins);
  translate_tool_choice(chat, origins);
  translate_thinking(chat, max_model_len, origins);
  translate_output(chat, origins);
  translate_metadata(chat, origins);
  check_context_management(chat);
  request.was_clamped = translate_limit(chat, max_model_len, counts);
  return request;
}

}  // namespace lapidary
