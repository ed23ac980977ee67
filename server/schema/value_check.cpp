#include "server/schema/value_check.h"

#include <algorithm>
#include <functional>

#include "server/schema/schema_keywords.h"
#include "server/schema/string_format.h"

namespace lapidary {
namespace {

constexpr size_t kMaxChecks = 100000;

}  // namespace

bool ValueCheck::holds(const OrderedJson& value, const OrderedJson& schema,
                       const std::string& path) {
  if (++n_checks_ > kMaxChecks) throw SchemaRefused(path, "too many values to check");
  check_keywords(schema, path);
  if (schema.is_boolean()) return schema.get<bool>();
  if (nesting_ > GrammarLimits::kMaxNesting) throw SchemaRefused(path, "nested too deep");
  ++nesting_;
  const bool result = holds_scalar(value, schema) && holds_joined(value, schema, path) &&
                      (!value.is_object() || holds_object(value, schema, path)) &&
                      (!value.is_array() || holds_array(value, schema, path));
  --nesting_;
  return result;
}

bool ValueCheck::matches(const std::string& pattern, RegexUse use, const std::string& text) {
  const auto [at, is_new] = patterns_.emplace(std::pair{use, pattern}, TextAutomaton({}));
  if (is_new) at->second = read_regex(pattern, use);
  return at->second.matches(text);
}

bool ValueCheck::holds_scalar(const OrderedJson& value, const OrderedJson& schema) {
  if (schema.contains("type")) {
    unsigned allowed = read_kinds(schema["type"], "");
    if (schema.value("nullable", false)) allowed |= kinds::kNull;
    if ((allowed & kind_of(value)) == 0) return false;
  }
  if (schema.contains("const") && schema["const"] != value) return false;
  if (schema.contains("enum")) {
    const OrderedJson& list = schema["enum"];
    // A value of this very list needs no search: there are as many searches as values.
    const bool is_own = !list.empty() && !std::less<>()(&value, &list.front()) &&
                        !std::less<>()(&list.back(), &value);
    if (!is_own && std::find(list.begin(), list.end(), value) == list.end()) return false;
  }
  if (value.is_string()) {
    const auto text = code_points(value.get_ref<const std::string&>());
    if (!text) return false;
    if (schema.contains("minLength") && text->size() < schema["minLength"]) return false;
    if (schema.contains("maxLength") && text->size() > schema["maxLength"]) return false;
    if (schema.contains("pattern") && !matches(schema["pattern"].get<std::string>(),
                                               RegexUse::kSearch, value.get<std::string>())) {
      return false;
    }
    if (!schema.contains("format") || is_free_format(schema["format"].get<std::string>())) {
      return true;
    }
    const auto pattern = format_pattern(schema["format"].get<std::string>());
    return pattern && matches(*pattern, RegexUse::kWhole, value.get<std::string>());
  }
  if (!value.is_number()) return true;
  if (schema.contains("minimum") && value < schema["minimum"]) return false;
  if (schema.contains("maximum") && value > schema["maximum"]) return false;
  if (schema.contains("exclusiveMinimum") && value <= schema["exclusiveMinimum"]) return false;
  if (schema.contains("exclusiveMaximum") && value >= schema["exclusiveMaximum"]) return false;
  if (!schema.contains("multipleOf")) return true;
  if (!value.is_number_integer() || !schema["multipleOf"].is_number_unsigned()) return false;
  const auto divisor = schema["multipleOf"].get<int64_t>();
  return divisor > 0 && value.get<int64_t>() % divisor == 0;
}

bool ValueCheck::holds_object(const OrderedJson& value, const OrderedJson& schema,
                              const std::string& path) {
  if (schema.contains("required")) {
    for (const OrderedJson& name : schema["required"]) {
      if (!value.contains(name.get<std::string>())) return false;
    }
  }
  if (schema.contains("minProperties") && value.size() < schema["minProperties"]) return false;
  if (schema.contains("maxProperties") && value.size() > schema["maxProperties"]) return false;
  for (const auto& [key, member] : value.items()) {
    bool is_known = false;
    if (schema.contains("properties") && schema["properties"].contains(key)) {
      is_known = true;
      if (!holds(member, schema["properties"][key], path_in(path + "/properties", key))) {
        return false;
      }
    }
    if (schema.contains("patternProperties")) {
      for (const auto& [pattern, of_pattern] : schema["patternProperties"].items()) {
        if (!matches(pattern, RegexUse::kSearch, key)) continue;
        is_known = true;
        if (!holds(member, of_pattern, path_in(path + "/patternProperties", pattern))) return false;
      }
    }
    if (!is_known && schema.contains("additionalProperties") &&
        !holds(member, schema["additionalProperties"], path + "/additionalProperties")) {
      return false;
    }
  }
  return true;
}

bool ValueCheck::holds_array(const OrderedJson& value, const OrderedJson& schema,
                             const std::string& path) {
  Shape shape;
  shape.array_parts = {{&schema, path}};
  const ArrayShape array = reader_.array_shape(shape);
  if (value.size() < array.min || (array.max && value.size() > *array.max)) return false;
  for (size_t i = 0; i < value.size(); ++i) {
    const SchemaSet& schemas = i < array.prefix.size() ? array.prefix[i] : array.items;
    for (const OrderedJson* one : schemas) {
      if (!holds(value[i], *one, reader_.path_of(one))) return false;
    }
  }
  return true;
}

bool ValueCheck::holds_joined(const OrderedJson& value, const OrderedJson& schema,
                              const std::string& path) {
  if (schema.contains("$ref")) {
    const OrderedJson* target = reader_.resolve(schema["$ref"], path + "/$ref");
    if (!holds(value, *target, reader_.path_of(target))) return false;
  }
  const auto n_held = [&](const char* keyword) {
    size_t n = 0, i = 0;
    for (const OrderedJson& part : schema[keyword]) {
      n += holds(value, part, path_in(path_in(path, keyword), i++)) ? 1 : 0;
    }
    return n;
  };
  if (schema.contains("allOf") && n_held("allOf") < schema["allOf"].size()) return false;
  if (schema.contains("anyOf") && n_held("anyOf") == 0) return false;
  return !schema.contains("oneOf") || n_held("oneOf") == 1;
}

}  // namespace lapidary
