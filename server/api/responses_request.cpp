#include "server/api/responses_request.h"

#include <string>
#include <utility>
#include <vector>

#include "server/api/fields.h"
#include "server/api/json_object.h"
#include "server/api/responses_items.h"
#include "server/api/transcript.h"
#include "server/api/unsupported_fields.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr char kStateless[] = "Nothing is stored here; send the whole input.";

const std::vector<UnsupportedField>& unsupported() {
  static const std::vector<UnsupportedField> rows = {
      {"previous_response_id", kStateless},
      {"conversation", kStateless},
      {"prompt", "Prompts are not stored here; send 'instructions' and 'input'."},
      {"background", "Responses are answered at once, not stored for later."},
      {"context_management", "Prompts are never cut; send a shorter one."},
      {"moderation", "This server does not moderate."},
      {"messages", "It is called 'input' here."},
      {"max_tokens", "It is called 'max_output_tokens' here."},
      {"max_completion_tokens", "It is called 'max_output_tokens' here."},
      {"response_format", "It is called 'text.format' here."},
      {"verbosity", "It is called 'text.verbosity' here."},
      {"reasoning_effort", "It is called 'reasoning.effort' here."},
      {"functions", "They are called 'tools' here."},
      {"function_call", "It is called 'tool_choice' here."},
      {"logprobs", "Ask with 'top_logprobs' here."},
      {"n", "A response is one answer.", {1}},
      {"return_token_ids", "A response has no token ids."},
  };
  return rows;
}

// Log-probabilities are asked for in two ways: by what is to be included, or by their number.
void translate_include(Json& chat) {
  const Json include = take(chat, "include");
  const Fields fields(chat);
  if (fields.integer("top_logprobs", 0, 20).value_or(0) > 0) chat["logprobs"] = true;
  if (include.is_null()) return;
  check_array(include, "include", 0, 32);
  for (size_t i = 0; i < include.size(); ++i) {
    const std::string path = element_path("include", i);
    const std::string what = checked_text(include[i], path, 128);
    if (what == "message.output_text.logprobs") {
      chat["logprobs"] = true;
    } else if (what != "reasoning.encrypted_content") {
      // Reasoning is always given, in plain text, so that it can be sent back.
      throw api_error::unsupported_value(path, "this server has nothing of that to include.");
    }
  }
}

void translate_input(Json& chat, FieldOrigins& origins) {
  const Json input = take(chat, "input");
  if (input.is_null()) throw api_error::missing_parameter("input");
  Transcript transcript(origins);
  if (const auto text = Fields(chat).text("instructions", SIZE_MAX)) {
    transcript.add_message("system", *text, "instructions");
  }
  chat.erase("instructions");
  origins.add("messages", "input");
  add_input(input, transcript);
  chat["messages"] = transcript.take();
}

void translate_tools(Json& chat, FieldOrigins& origins) {
  const auto tools = chat.find("tools");
  if (tools == chat.end() || !tools->is_array()) return;
  for (size_t i = 0; i < tools->size(); ++i) {
    Json& tool = (*tools)[i];
    if (!tool.is_object() || field(tool, "type") != "function") continue;
    tool["function"] = moved(tool, {"name", "description", "parameters", "strict"});
    const std::string path = element_path("tools", i);
    origins.add(path + ".function", path);
  }
}

void translate_named(Json& choice, const std::string& chat_path, const std::string& own_path,
                     FieldOrigins& origins) {
  if (!choice.is_object() || field(choice, "type") != "function") return;
  choice["function"] = moved(choice, {"name"});
  origins.add(chat_path + ".function", own_path);
}

void translate_tool_choice(Json& chat, FieldOrigins& origins) {
  const auto choice = chat.find("tool_choice");
  if (choice == chat.end() || !choice->is_object()) return;
  translate_named(*choice, "tool_choice", "tool_choice", origins);
  if (field(*choice, "type") != "allowed_tools") return;
  Json allowed = moved(*choice, {"mode", "tools"});
  const std::string path = "tool_choice.allowed_tools";
  origins.add(path, "tool_choice");
  const auto list = allowed.find("tools");
  for (size_t i = 0; list != allowed.end() && list->is_array() && i < list->size(); ++i) {
    translate_named((*list)[i], element_path(path + ".tools", i),
                    element_path("tool_choice.tools", i), origins);
  }
  (*choice)["allowed_tools"] = std::move(allowed);
}

void translate_text(Json& chat, FieldOrigins& origins) {
  Json text = take(chat, "text");
  if (text.is_null()) return;
  check_object(text, "text");
  if (Json verbosity = take(text, "verbosity"); !verbosity.is_null()) {
    chat["verbosity"] = std::move(verbosity);
    origins.add("verbosity", "text.verbosity");
  }
  Json format = take(text, "format");
  if (format.is_null()) return;
  check_object(format, "text.format");
  origins.add("response_format", "text.format");
  if (field(format, "type") == "json_schema") {
    format["json_schema"] = moved(format, {"name", "description", "schema", "strict"});
    origins.add("response_format.json_schema", "text.format");
  }
  chat["response_format"] = std::move(format);
}

// The effort is read by the shared checks.
bool parse_summary(const Json& chat) {
  const Json* reasoning = Fields(chat).object("reasoning");
  if (reasoning == nullptr) return false;
  const Fields fields(*reasoning, "reasoning");
  bool wanted = false;
  for (const char* name : {"summary", "generate_summary"}) {
    wanted = fields.choice(name, {"auto", "concise", "detailed"}).has_value() || wanted;
  }
  return wanted;
}

void refuse_truncation(const Json& chat) {
  const auto truncation = Fields(chat).choice("truncation", {"auto", "disabled"});
  if (truncation == "auto") {
    throw api_error::unsupported_value("truncation", "prompts are never cut; send a shorter one.");
  }
}

Json echoed_tools(const Json& body) {
  Json tools = Json::array();
  for (const Json& tool : field(body, "tools", Json::array())) {
    if (!tool.is_object()) continue;  // refused later
    tools.push_back({{"type", "function"},
                     {"name", field(tool, "name")},
                     {"description", field(tool, "description")},
                     {"parameters", field(tool, "parameters")},
                     {"strict", field(tool, "strict", false)}});
  }
  return tools;
}

Json echo_of(const Json& body) {
  const Json reasoning = field(body, "reasoning", Json::object());
  const Json text = field(body, "text", Json::object());
  Json echo = {{"background", false},
               {"instructions", field(body, "instructions")},
               {"max_output_tokens", field(body, "max_output_tokens")},
               {"max_tool_calls", field(body, "max_tool_calls")},
               {"metadata", field(body, "metadata", Json::object())},
               {"parallel_tool_calls", field(body, "parallel_tool_calls", true)},
               {"previous_response_id", nullptr},
               {"reasoning",
                {{"effort", field(reasoning, "effort")}, {"summary", field(reasoning, "summary")}}},
               {"service_tier", "default"},
               {"store", false},
               {"text",
                {{"format", field(text, "format", {{"type", "text"}})},
                 {"verbosity", field(text, "verbosity", "medium")}}},
               {"tool_choice", field(body, "tool_choice", "auto")},
               {"tools", echoed_tools(body)},
               {"top_logprobs", field(body, "top_logprobs", 0)},
               {"truncation", "disabled"}};
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) {
    if (Json value = field(body, name); !value.is_null()) echo[name] = std::move(value);
  }
  return echo;
}

}  // namespace

ResponsesRequest translate_responses(Json body) {
  refuse_fields(Fields(body), unsupported());
  refuse_truncation(body);
  Fields(body).integer("max_tool_calls", 1, INT32_MAX);  // of tools that a server runs
  ResponsesRequest request;
  request.wants_summary = parse_summary(body);
  request.echo = echo_of(body);
  Json& chat = request.chat;
  chat = std::move(body);
  if (Json limit = take(chat, "max_output_tokens"); !limit.is_null()) {
    chat["max_completion_tokens"] = std::move(limit);
    request.origins.add("max_completion_tokens", "max_output_tokens");
  }
  translate_include(chat);
  translate_input(chat, request.origins);
  translate_tools(chat, request.origins);
  translate_tool_choice(chat, request.origins);
  translate_text(chat, request.origins);
  return request;
}

}  // namespace lapidary
