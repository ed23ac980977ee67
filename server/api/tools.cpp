#include "server/api/tools.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/dialect/tool_name.h"
#include "server/dialect/tool_schema.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTools = 128;
constexpr size_t kAnyLength = SIZE_MAX;  // the body's size is the limit

// A function of the request, with all that is said of it.
struct Function {
  ToolDeclaration shown;
  const Json* parameters = nullptr;  // as they came; null: none
  bool is_strict = false;
  std::string path;
};

// Which functions may be called.
struct Choice {
  bool may_call = true;
  bool must_call = false;
  std::vector<std::string> names;  // empty: all
  bool is_named = false;           // the one function that must be called, once
};

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

Function parse_function(const Fields& fields, std::string path, SchemaBudget& budget) {
  return {.shown = {.name = parse_function_name(fields),
                    .description = fields.text("description", kAnyLength).value_or(""),
                    .parameters = parse_parameters(fields, budget)},
          .parameters = fields.find("parameters"),
          .is_strict = fields.boolean("strict").value_or(false),
          .path = std::move(path)};
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

bool has(const std::vector<Function>& functions, const std::string& name) {
  return std::any_of(functions.begin(), functions.end(),
                     [&](const Function& function) { return function.shown.name == name; });
}

std::vector<Function> parse_list(const Fields& body, const char* name, bool is_legacy) {
  std::vector<Function> functions;
  const Json* list = body.array(name, 0, kMaxTools);
  if (list == nullptr) return functions;
  SchemaBudget budget;
  for (size_t i = 0; i < list->size(); ++i) {
    std::string path = item_path(name, i);
    check_object((*list)[i], path);
    const Json& object = is_legacy ? (*list)[i] : function_of(Fields((*list)[i], path));
    if (!is_legacy) path += ".function";
    const Fields fields(object, path);
    Function function = parse_function(fields, std::move(path), budget);
    if (has(functions, function.shown.name)) {
      throw api_error::invalid_value(fields.path("name"), "two functions have this name.");
    }
    functions.push_back(std::move(function));
  }
  return functions;
}

std::string parse_named(const Fields& function, const std::vector<Function>& functions) {
  std::string name = parse_function_name(function);
  if (!has(functions, name)) {
    throw api_error::invalid_value(function.path("name"),
                                   "there is no such function in the request.");
  }
  return name;
}

Choice parse_allowed_tools(const Fields& choice, const std::vector<Function>& functions) {
  const Json* allowed = choice.object("allowed_tools");
  if (allowed == nullptr) throw api_error::missing_parameter(choice.path("allowed_tools"));
  const Fields fields(*allowed, choice.path("allowed_tools"));
  const auto mode = fields.choice("mode", {"auto", "required"});
  if (!mode) throw api_error::missing_parameter(fields.path("mode"));
  const Json* list = fields.array("tools", 1, kMaxTools);
  if (list == nullptr) throw api_error::missing_parameter(fields.path("tools"));
  Choice made;
  made.must_call = *mode == "required";
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string path = item_path(fields.path("tools"), i);
    check_object((*list)[i], path);
    const Fields function(function_of(Fields((*list)[i], path)), path + ".function");
    made.names.push_back(parse_named(function, functions));
  }
  return made;
}

Choice named_choice(const Fields& function, const std::vector<Function>& functions) {
  return {.must_call = true, .names = {parse_named(function, functions)}, .is_named = true};
}

Choice parse_choice_object(const Fields& choice, const std::vector<Function>& functions) {
  const auto type = choice.text("type", 64);
  if (!type) throw api_error::missing_parameter(choice.path("type"));
  if (*type == "allowed_tools") return parse_allowed_tools(choice, functions);
  if (*type == "auto" || *type == "none") return {.may_call = *type == "auto"};
  return named_choice(Fields(function_of(choice), choice.path("function")), functions);
}

Choice parse_choice(const Fields& body, const char* name, const std::vector<Function>& functions,
                    bool is_legacy) {
  const Json* choice = body.find(name);
  if (choice == nullptr || *choice == "auto") return {};
  if (*choice == "none") return {.may_call = false};
  if (functions.empty()) {
    throw api_error::invalid_value(body.path(name), "it needs functions to choose from.");
  }
  if (*choice == "required" && !is_legacy) return {.must_call = true};
  if (choice->is_string()) {
    throw api_error::invalid_value(body.path(name),
                                   is_legacy ? "supported values are 'none', 'auto' and an object."
                                             : "supported values are 'none', 'auto', 'required' "
                                               "and an object.");
  }
  const Fields fields(*body.object(name), body.path(name));
  return is_legacy ? named_choice(fields, functions) : parse_choice_object(fields, functions);
}

bool may_be_called(const Choice& choice, const std::string& name) {
  return choice.names.empty() ||
         std::find(choice.names.begin(), choice.names.end(), name) != choice.names.end();
}

// The schema that a call's arguments are held to.
OrderedJson held_parameters(const Function& function, bool must_call) {
  if (!must_call && !function.is_strict) return OrderedJson::object();
  // A function without parameters takes none.
  if (function.parameters == nullptr) return OrderedJson::parse(R"({"properties":{}})");
  return OrderedJson(*function.parameters);
}

// Where nothing is asked for calls are left alone: a model that was trained to call does it well,
// and the parser mends what it gets wrong.
void constrain(const Choice& choice, const std::vector<Function>& functions, ToolRequest& request) {
  const bool is_any_strict =
      std::any_of(functions.begin(), functions.end(), [&](const Function& function) {
        return function.is_strict && may_be_called(choice, function.shown.name);
      });
  if (!choice.must_call && choice.names.empty() && !is_any_strict) return;
  request.must_call = choice.must_call;
  if (choice.is_named || request.is_legacy || !request.is_parallel) request.max_calls = 1;
  for (const Function& function : functions) {
    if (!may_be_called(choice, function.shown.name)) continue;
    request.callable.push_back({function.shown.name, held_parameters(function, choice.must_call)});
    request.callable_paths.push_back(function.path);
  }
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
  options.is_exact = !callable.empty();
  return options;
}

ToolRequest parse_tools(const Fields& body) {
  ToolRequest request;
  request.is_parallel = body.boolean("parallel_tool_calls").value_or(true);
  request.is_legacy = is_given(body, "functions");
  if (request.is_legacy && is_given(body, "tools")) {
    throw api_error::invalid_value("functions", "it excludes 'tools'.");
  }
  const std::vector<Function> functions =
      parse_list(body, request.is_legacy ? "functions" : "tools", request.is_legacy);
  const Choice choice = parse_choice(body, "tool_choice", functions, false);
  const Choice legacy = parse_choice(body, "function_call", functions, true);
  // Functions that must not be called are not shown.
  if (!choice.may_call || !legacy.may_call) return request;
  for (const Function& function : functions) request.tools.push_back(function.shown);
  constrain(legacy.must_call ? legacy : choice, functions, request);
  return request;
}

std::string parse_function_name(const Fields& function) {
  const auto name = function.text("name", kMaxToolNameBytes);
  if (!name) throw api_error::missing_parameter(function.path("name"));
  if (!has_tool_name_chars(*name)) {
    throw api_error::invalid_value(function.path("name"),
                                   "names are letters, digits, '_', '-' and '.'.");
  }
  return *name;
}

}  // namespace lapidary
