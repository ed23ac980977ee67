#include "server/api/structured_output.h"

#include <algorithm>
#include <utility>

#include "config/json_scan.h"
#include "engine/grammar/grammar_refused.h"
#include "server/schema/grammar_compiler.h"
#include "server/schema/ordered_text.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;
using Kind = StructuredOutput::Kind;

constexpr size_t kMaxChoices = 4096;
constexpr size_t kMaxChoiceBytes = 4096;
constexpr char kOneOf[] = "give one of 'json', 'json_object', 'regex', 'choice' and 'grammar'.";

std::string parse_format_name(const Fields& format) {
  const auto name = format.text("name", 64);
  if (!name) throw api_error::missing_parameter(format.path("name"));
  const bool is_good = !name->empty() && std::all_of(name->begin(), name->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  if (!is_good) {
    throw api_error::invalid_value(format.path("name"), "names are letters, digits, '_' and '-'.");
  }
  return *name;
}

// `keys` lead to the schema in the text, `schema` is the same without the order.
StructuredOutput schema_at(const std::vector<std::string_view>& keys, const Json& schema,
                           std::string path, std::string_view text) {
  StructuredOutput made{.kind = Kind::kSchema, .path = std::move(path)};
  made.schema = text.empty() ? OrderedJson(schema) : ordered_value(text, keys);
  return made;
}

// Every schema is kept to, whether `strict` is asked for or not.
StructuredOutput parse_json_schema(const Fields& format, std::string_view text) {
  const Json* holder = format.object("json_schema");
  if (holder == nullptr) throw api_error::missing_parameter(format.path("json_schema"));
  const Fields fields(*holder, format.path("json_schema"));
  parse_format_name(fields);
  fields.text("description", 64 << 10);
  fields.boolean("strict");
  const Json* schema = fields.object("schema");
  if (schema == nullptr) throw api_error::missing_parameter(fields.path("schema"));
  return schema_at({"response_format", "json_schema", "schema"}, *schema, fields.path("schema"),
                   text);
}

StructuredOutput parse_response_format(const Fields& body, std::string_view text) {
  const Json* object = body.object("response_format");
  if (object == nullptr) return {};
  const Fields format(*object, "response_format");
  const auto type = format.text("type", 64);
  if (!type) throw api_error::missing_parameter(format.path("type"));
  if (*type == "text") return {};
  if (*type == "json_schema") return parse_json_schema(format, text);
  if (*type != "json_object") {
    throw api_error::unsupported_value(
        format.path("type"),
        "there are 'text', 'json_object' and 'json_schema'; other forms are in "
        "'structured_outputs'.");
  }
  // A schema beside the type, as some clients have it.
  const Json* schema = format.object("schema");
  if (schema == nullptr) return {.kind = Kind::kObject, .path = "response_format"};
  return schema_at({"response_format", "schema"}, *schema, format.path("schema"), text);
}

// The schema as an object, or as its text.
StructuredOutput parse_json(const Fields& fields, std::string_view text) {
  const Json& value = *fields.find("json");
  const std::string path = fields.path("json");
  if (value.is_object() || value.is_boolean()) {
    return schema_at({"structured_outputs", "json"}, value, path, text);
  }
  const std::string schema = checked_text(value, path, GrammarCompiler::kMaxSchemaBytes);
  if (const auto fault = scan_json(schema, JsonLimits{})) {
    throw api_error::invalid_schema(path, fault->reason + ".");
  }
  StructuredOutput made{.kind = Kind::kSchema, .path = path};
  made.schema = ordered_value(schema, {});
  return made;
}

StructuredOutput parse_choices(const Fields& fields) {
  StructuredOutput made{.kind = Kind::kChoice, .path = fields.path("choice")};
  const Json& list = *fields.array("choice", 1, kMaxChoices);
  for (size_t i = 0; i < list.size(); ++i) {
    made.choices.push_back(
        checked_text(list[i], made.path + "[" + std::to_string(i) + "]", kMaxChoiceBytes));
  }
  return made;
}

// What changes how others write JSON and has no meaning here.
bool asks_for_nothing(const std::string& name, const Json& value) {
  constexpr std::string_view kSwitches[] = {"disable_fallback", "disable_any_whitespace",
                                            "disable_additional_properties"};
  const bool is_switch =
      std::find(std::begin(kSwitches), std::end(kSwitches), name) != std::end(kSwitches);
  return value.is_null() || (is_switch && value == false) ||
         (name == "disable_fallback" && value.is_boolean()) ||
         (name == "json_object" && value == false);
}

StructuredOutput parse_extras(const Fields& body, std::string_view text) {
  const Json* object = body.object("structured_outputs");
  if (object == nullptr) return {};
  const Fields fields(*object, "structured_outputs");
  StructuredOutput made;
  for (const auto& [name, value] : object->items()) {
    if (asks_for_nothing(name, value)) continue;
    if (made.kind != Kind::kNone) throw api_error::invalid_value("structured_outputs", kOneOf);
    if (name == "json") {
      made = parse_json(fields, text);
    } else if (name == "json_object") {
      fields.boolean(name);
      made = {.kind = Kind::kObject, .path = fields.path(name)};
    } else if (name == "regex" || name == "grammar") {
      made = {.kind = name == "regex" ? Kind::kRegex : Kind::kGrammar, .path = fields.path(name)};
      made.text = checked_text(value, made.path, GrammarLimits::kMaxTextBytes);
    } else if (name == "choice") {
      made = parse_choices(fields);
    } else {
      throw api_error::unsupported_parameter(fields.path(name), "Please " + std::string(kOneOf));
    }
  }
  if (made.kind == Kind::kNone && !object->empty()) {
    throw api_error::invalid_value("structured_outputs", kOneOf);
  }
  return made;
}

}  // namespace

StructuredOutput parse_structured_output(const Fields& body, std::string_view text) {
  StructuredOutput format = parse_response_format(body, text);
  StructuredOutput extras = parse_extras(body, text);
  if (format.kind == Kind::kNone) return extras;
  if (extras.kind != Kind::kNone) {
    throw api_error::invalid_value("structured_outputs", "it excludes 'response_format'.");
  }
  return format;
}

}  // namespace lapidary
