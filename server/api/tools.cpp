#include "server/api/tools.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/dialect/tool_schema.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTools = 128;
constexpr size_t kMaxNameBytes = 128;
constexpr size_t kAnyLength = SIZE_MAX;  // the body's size is the limit

[[noreturn]] void refuse_constraint(const std::string& path, const char* what) {
  throw api_error::unsupported_value(
      path,
      std::string(what) + " is not served yet: it needs the model's output to be constrained.");
}

std::string item_path(const std::string& list, size_t index) {
  return list + "[" + std::to_string(index) + "]";
}

Json parse_parameters(const Fields& function, SchemaBudget& budget) {
  const Json* parameters = function.object("parameters");
  if (parameters == nullptr) return nullptr;
  try {
    return shown_parameters(*parameters, budget);
  } catch (const ToolSchemaError& error) {
    // A path may hold any key of the client's.
    throw api_error::invalid_value(function.path(error.path.substr(0, 256)), error.what());
  }
}

ToolDeclaration parse_function(const Fields& function, SchemaBudget& budget) {
  ToolDeclaration tool{.name = parse_function_name(function),
                       .description = function.text("description", kAnyLength).value_or(""),
                       .parameters = parse_parameters(function, budget)};
  if (function.boolean("strict").value_or(false)) {
    refuse_constraint(function.path("strict"), "'strict'");
  }
  return tool;
}

// The object of `type` that a tool or a choice holds: {"type":"function","function":{...}}.
const Json& function_of(const Fields& holder) {
  const auto type = holder.text("type", 64);
  if (!type) throw api_error::missing_parameter(holder.path("type"));
  if (*type != "function") {
    throw api_error::unsupported_value(holder.path("type"),
                                       "the only tools are of type 'function'.");
  }
  const Json* function = holder.object("function");
  if (function == nullptr) throw api_error::missing_parameter(holder.path("function"));
  return *function;
}

void add_tool(ToolDeclaration tool, const std::string& path, std::vector<ToolDeclaration>& tools) {
  const bool is_known = std::any_of(tools.begin(), tools.end(),
                                    [&](const ToolDeclaration& t) { return t.name == tool.name; });
  if (is_known) throw api_error::invalid_value(path, "two functions have this name.");
  tools.push_back(std::move(tool));
}

std::vector<ToolDeclaration> parse_list(const Fields& body, const char* name, bool is_legacy) {
  std::vector<ToolDeclaration> tools;
  const Json* list = body.array(name, 0, kMaxTools);
  if (list == nullptr) return tools;
  SchemaBudget budget;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = item_path(name, i);
    check_object((*list)[i], path);
    const Json& function = is_legacy ? (*list)[i] : function_of(Fields((*list)[i], path));
    const Fields fields(function, is_legacy ? path : path + ".function");
    add_tool(parse_function(fields, budget), fields.path("name"), tools);
  }
  return tools;
}

void check_named(const Fields& function, const std::vector<ToolDeclaration>& tools) {
  const std::string name = parse_function_name(function);
  const bool is_known = std::any_of(tools.begin(), tools.end(),
                                    [&](const ToolDeclaration& t) { return t.name == name; });
  if (!is_known) {
    throw api_error::invalid_value(function.path("name"),
                                   "there is no such function in the request.");
  }
}

void check_allowed_tools(const Fields& choice, const std::vector<ToolDeclaration>& tools) {
  const Json* allowed = choice.object("allowed_tools");
  if (allowed == nullptr) throw api_error::missing_parameter(choice.path("allowed_tools"));
  const Fields fields(*allowed, choice.path("allowed_tools"));
  if (!fields.choice("mode", {"auto", "required"})) {
    throw api_error::missing_parameter(fields.path("mode"));
  }
  const Json* list = fields.array("tools", 1, kMaxTools);
  if (list == nullptr) throw api_error::missing_parameter(fields.path("tools"));
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = item_path(fields.path("tools"), i);
    check_object((*list)[i], path);
    check_named(Fields(function_of(Fields((*list)[i], path)), path + ".function"), tools);
  }
}

// False: no function may be called.
bool parse_choice_object(const Fields& choice, const std::vector<ToolDeclaration>& tools) {
  const auto type = choice.text("type", 64);
  if (!type) throw api_error::missing_parameter(choice.path("type"));
  if (*type == "allowed_tools") {
    check_allowed_tools(choice, tools);
    refuse_constraint(choice.path("type"), "'allowed_tools'");
  }
  if (*type == "auto" || *type == "none") return *type == "auto";
  check_named(Fields(function_of(choice), choice.path("function")), tools);
  refuse_constraint(choice.path("function"), "A function that must be called");
}

bool parse_choice(const Fields& body, const char* name, const std::vector<ToolDeclaration>& tools,
                  bool is_legacy) {
  const Json* choice = body.find(name);
  if (choice == nullptr || *choice == "auto") return true;
  if (*choice == "none") return false;
  if (tools.empty()) {
    throw api_error::invalid_value(body.path(name), "it needs functions to choose from.");
  }
  if (*choice == "required" && !is_legacy) refuse_constraint(body.path(name), "'required'");
  if (choice->is_string()) {
    throw api_error::invalid_value(body.path(name),
                                   is_legacy ? "supported values are 'none', 'auto' and an object."
                                             : "supported values are 'none', 'auto', 'required' "
                                               "and an object.");
  }
  const Json* object = body.object(name);
  if (!is_legacy) return parse_choice_object(Fields(*object, body.path(name)), tools);
  check_named(Fields(*object, body.path(name)), tools);
  refuse_constraint(body.path(name), "A function that must be called");
}

bool is_given(const Fields& body, const char* name) {
  const Json* list = body.find(name);
  return list != nullptr && !(list->is_array() && list->empty());
}

}  // namespace

CallOptions ToolRequest::call_options() const {
  CallOptions options;
  if (!tools.empty()) options.tools = &tools;
  if (is_legacy || !is_parallel) options.max_calls = 1;
  return options;
}

ToolRequest parse_tools(const Fields& body) {
  ToolRequest request;
  request.is_parallel = body.boolean("parallel_tool_calls").value_or(true);
  request.is_legacy = is_given(body, "functions");
  if (request.is_legacy && is_given(body, "tools")) {
    throw api_error::invalid_value("functions", "it excludes 'tools'.");
  }
  request.tools = parse_list(body, request.is_legacy ? "functions" : "tools", request.is_legacy);
  bool may_call = parse_choice(body, "tool_choice", request.tools, false);
  may_call = parse_choice(body, "function_call", request.tools, true) && may_call;
  // Functions that must not be called are not shown: that is the only sure way without constraints.
  if (!may_call) request.tools.clear();
  return request;
}

std::string parse_function_name(const Fields& function) {
  const auto name = function.text("name", kMaxNameBytes);
  if (!name) throw api_error::missing_parameter(function.path("name"));
  const bool is_good = !name->empty() && std::all_of(name->begin(), name->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!is_good) {
    throw api_error::invalid_value(function.path("name"),
                                   "names are letters, digits, '_', '-' and '.'.");
  }
  return *name;
}

}  // namespace lapidary
