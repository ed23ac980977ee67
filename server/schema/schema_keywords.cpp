#include "server/schema/schema_keywords.h"

#include <string_view>
#include <unordered_map>

namespace lapidary {
namespace {

enum class Form {
  kAny,
  kSchema,
  kSchemas,
  kSchemaMap,
  kItems,
  kCount,
  kNumber,
  kText,
  kTexts,
  kArray,
  kFlag,
  kFalse
};

const std::unordered_map<std::string_view, Form>& forms() {
  static const std::unordered_map<std::string_view, Form> table = {
      {"type", Form::kAny},
      {"enum", Form::kArray},
      {"const", Form::kAny},
      {"properties", Form::kSchemaMap},
      {"required", Form::kTexts},
      {"additionalProperties", Form::kSchema},
      {"patternProperties", Form::kSchemaMap},
      {"minProperties", Form::kCount},
      {"maxProperties", Form::kCount},
      {"items", Form::kItems},
      {"prefixItems", Form::kSchemas},
      {"additionalItems", Form::kSchema},
      {"minItems", Form::kCount},
      {"maxItems", Form::kCount},
      {"uniqueItems", Form::kFlag},
      {"minLength", Form::kCount},
      {"maxLength", Form::kCount},
      {"pattern", Form::kText},
      {"format", Form::kText},
      {"minimum", Form::kNumber},
      {"maximum", Form::kNumber},
      {"exclusiveMinimum", Form::kNumber},
      {"exclusiveMaximum", Form::kNumber},
      {"multipleOf", Form::kNumber},
      {"anyOf", Form::kSchemas},
      {"oneOf", Form::kSchemas},
      {"allOf", Form::kSchemas},
      {"$ref", Form::kText},
      {"nullable", Form::kFlag},
      // Nothing about answers:
      {"$defs", Form::kSchemaMap},
      {"definitions", Form::kSchemaMap},
      {"title", Form::kAny},
      {"description", Form::kAny},
      {"default", Form::kAny},
      {"examples", Form::kAny},
      {"example", Form::kAny},
      {"$comment", Form::kAny},
      {"$schema", Form::kAny},
      {"$id", Form::kAny},
      {"deprecated", Form::kAny},
      {"readOnly", Form::kAny},
      {"writeOnly", Form::kAny},
      {"contentEncoding", Form::kAny},
      {"contentMediaType", Form::kAny},
      {"contentSchema", Form::kAny},
      {"discriminator", Form::kAny},  // OpenAPI: which of `oneOf` it is, without a say of its own
      {"externalDocs", Form::kAny},
      {"xml", Form::kAny}};
  return table;
}

bool is_schema(const OrderedJson& value) { return value.is_object() || value.is_boolean(); }

template <typename Check>
bool all(const OrderedJson& values, Check check) {
  for (const OrderedJson& value : values) {
    if (!check(value)) return false;
  }
  return true;
}

// What is expected instead; null when all is well.
const char* fault(const OrderedJson& value, Form form) {
  const auto is_text = [](const OrderedJson& v) { return v.is_string(); };
  switch (form) {
    case Form::kAny:
      return nullptr;
    case Form::kSchema:
      return is_schema(value) ? nullptr : "must be a schema";
    case Form::kSchemas:
      return value.is_array() && !value.empty() && all(value, is_schema)
                 ? nullptr
                 : "must be a list of schemas";
    case Form::kSchemaMap:
      return value.is_object() && all(value, is_schema) ? nullptr : "must be an object of schemas";
    case Form::kItems:
      return is_schema(value) || (value.is_array() && all(value, is_schema))
                 ? nullptr
                 : "must be a schema or a list of schemas";
    case Form::kCount:
      return value.is_number_unsigned() && value.get<uint64_t>() <= 1000000000
                 ? nullptr
                 : "must be a whole number from 0 to 1000000000";
    case Form::kNumber:
      return value.is_number() ? nullptr : "must be a number";
    case Form::kText:
      return value.is_string() ? nullptr : "must be a string";
    case Form::kTexts:
      return value.is_array() && all(value, is_text) ? nullptr : "must be a list of strings";
    case Form::kArray:
      return value.is_array() ? nullptr : "must be a list";
    case Form::kFlag:
      return value.is_boolean() ? nullptr : "must be true or false";
    case Form::kFalse:
      return value == false ? nullptr : "must be false";
  }
  return nullptr;
}

}  // namespace

std::string path_in(const std::string& path, const std::string& key) {
  std::string made = path + "/";
  for (const char c : key) {
    if (c == '~')
      made += "~0";
    else if (c == '/')
      made += "~1";
    else
      made += c;
  }
  return made;
}

std::string path_in(const std::string& path, size_t index) {
  return path + "/" + std::to_string(index);
}

void check_keywords(const OrderedJson& schema, const std::string& path) {
  if (schema.is_boolean()) return;
  if (!schema.is_object()) throw SchemaRefused(path, "a schema must be an object or a boolean");
  for (const auto& [key, value] : schema.items()) {
    if (key.starts_with("x-")) continue;  // an extension of OpenAPI
    const auto form = forms().find(key);
    if (form == forms().end()) {
      throw SchemaRefused(path_in(path, key), "the keyword `" + key + "` is not supported");
    }
    if (const char* what = fault(value, form->second)) {
      throw SchemaRefused(path_in(path, key), "`" + key + "` " + what);
    }
  }
}

}  // namespace lapidary
