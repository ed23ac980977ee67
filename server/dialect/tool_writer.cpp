#include "server/dialect/tool_writer.h"

#include <string>

#include "server/dialect/python_spelling.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

// Types are ASCII: tool_schema has seen to it.
std::string upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// Separates what it is called before: nothing before the first.
class Commas {
 public:
  explicit Commas(PromptWriter& writer) : writer_(writer) {}
  void next() {
    if (has_one_) writer_.text(",");
    has_one_ = true;
  }

 private:
  PromptWriter& writer_;
  bool has_one_ = false;
};

enum class Keys { kBare, kQuoted };

void write_value(const Json& value, Keys keys, PromptWriter& writer);

void write_entries(const Json& object, Keys keys, PromptWriter& writer) {
  Commas commas(writer);
  for (const auto& [key, value] : python_sorted(object)) {
    commas.next();
    if (keys == Keys::kQuoted) {
      writer.quoted(*key);
    } else {
      writer.text(*key);
    }
    writer.text(":");
    write_value(*value, keys, writer);
  }
}

void write_value(const Json& value, Keys keys, PromptWriter& writer) {
  if (value.is_null()) {
    writer.text("null");
  } else if (value.is_string()) {
    writer.quoted(value.get_ref<const std::string&>());
  } else if (value.is_boolean()) {
    writer.text(value.get<bool>() ? "true" : "false");
  } else if (value.is_object()) {
    writer.text("{");
    write_entries(value, keys, writer);
    writer.text("}");
  } else if (value.is_array()) {
    writer.text("[");
    Commas commas(writer);
    for (const Json& item : value) {
      commas.next();
      write_value(item, keys, writer);
    }
    writer.text("]");
  } else {
    writer.text(python_number(value));
  }
}

void write_names(const Json& names, PromptWriter& writer) {
  writer.text("[");
  Commas commas(writer);
  for (const Json& name : names) {
    commas.next();
    writer.quoted(name.get_ref<const std::string&>());
  }
  writer.text("]");
}

// Null where there is none, or an empty one, which the template leaves out.
const Json* filled(const Json& schema, const char* key) {
  const auto it = schema.find(key);
  return it == schema.end() || it->empty() ? nullptr : &*it;
}

std::string type_of(const Json& schema) {
  const auto it = schema.find("type");
  return it == schema.end() ? std::string() : upper(it->get<std::string>());
}

void write_properties(const Json& properties, PromptWriter& writer);

// `properties:{...}`
void write_property_list(const Json& properties, PromptWriter& writer) {
  writer.text("properties:{");
  write_properties(properties, writer);
  writer.text("}");
}

void write_item_type(const Json& type, PromptWriter& writer) {
  if (type.is_string()) {
    writer.quoted(upper(type.get<std::string>()));
    return;
  }
  Json names = Json::array();
  for (const Json& name : type) names.push_back(upper(name.get<std::string>()));
  write_names(names, writer);
}

// The schema of an array's elements: unlike a property's, all of its keys are shown.
void write_items(const Json& items, PromptWriter& writer) {
  writer.text("items:{");
  Commas commas(writer);
  for (const auto& [key, value] : python_sorted(items)) {
    if (value->is_null()) continue;
    commas.next();
    if (*key == "properties") {
      write_property_list(*value, writer);
      continue;
    }
    writer.text(*key);
    writer.text(":");
    if (*key == "required") {
      write_names(*value, writer);
    } else if (*key == "type") {
      write_item_type(*value, writer);
    } else {
      write_value(*value, Keys::kQuoted, writer);
    }
  }
  writer.text("}");
}

void write_property(const Json& schema, PromptWriter& writer) {
  const std::string type = type_of(schema);
  Commas commas(writer);
  writer.text("{");
  if (const Json* description = filled(schema, "description")) {
    const auto& text = description->get_ref<const std::string&>();
    if (!text.empty()) {
      commas.next();
      writer.text("description:");
      writer.quoted(text);
    }
  }
  const Json* values = filled(schema, "enum");
  if (type == "STRING" && values != nullptr) {
    commas.next();
    writer.text("enum:");
    write_value(*values, Keys::kQuoted, writer);
  }
  const Json* items = filled(schema, "items");
  if (type == "ARRAY" && items != nullptr) {
    commas.next();
    write_items(*items, writer);
  }
  if (schema.value("nullable", false)) {
    commas.next();
    writer.text("nullable:true");
  }
  if (type == "OBJECT") {
    commas.next();
    write_property_list(schema.value("properties", Json::object()), writer);
    if (const Json* required = filled(schema, "required")) {
      commas.next();
      writer.text("required:");
      write_names(*required, writer);
    }
  }
  commas.next();
  writer.text("type:");
  writer.quoted(type);
  writer.text("}");
}

void write_properties(const Json& properties, PromptWriter& writer) {
  Commas commas(writer);
  for (const auto& [key, schema] : python_sorted(properties)) {
    commas.next();
    writer.text(*key);
    writer.text(":");
    write_property(*schema, writer);
  }
}

void write_parameters(const Json& parameters, PromptWriter& writer) {
  writer.text(",parameters:{");
  if (const Json* properties = filled(parameters, "properties")) {
    write_property_list(*properties, writer);
    writer.text(",");
  }
  if (const Json* required = filled(parameters, "required")) {
    writer.text("required:");
    write_names(*required, writer);
    writer.text(",");
  }
  writer.text("type:");
  writer.quoted(type_of(parameters));
  writer.text("}");
}

}  // namespace

void write_declaration(const ToolDeclaration& tool, PromptWriter& writer) {
  writer.control("<|tool>");
  writer.text("declaration:" + tool.name + "{description:");
  writer.quoted(tool.description);
  if (!tool.parameters.is_null()) write_parameters(tool.parameters, writer);
  writer.text("}");
  writer.control("<tool|>");
}

void write_call(const ToolCall& call, PromptWriter& writer) {
  if (!call.tokens.empty()) return writer.generated(call.tokens);
  writer.control("<|tool_call>");
  writer.text("call:" + call.name + "{");
  write_entries(call.arguments, Keys::kBare, writer);
  writer.text("}");
  writer.control("<tool_call|>");
}

void write_response(std::string_view name, std::string_view result, PromptWriter& writer) {
  writer.control("<|tool_response>");
  writer.text("response:" + std::string(name) + "{value:");
  writer.quoted(result);
  writer.text("}");
  writer.control("<tool_response|>");
}

}  // namespace lapidary
