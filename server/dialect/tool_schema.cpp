#include "server/dialect/tool_schema.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace lapidary {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxDepth = 64;

// Where a schema stands decides what of it the template shows: of a property only what it knows,
// of an array's elements every key, deeper in those everything as it is.
enum class Place { kProperty, kItems, kRaw };

// A schema with its references, unions and allOf taken apart: views on the client's JSON.
struct Flat {
  std::map<std::string, const Json*> keys;  // all others
  std::map<std::string, const Json*> properties;
  std::vector<std::string> required;
  Json constants;  // array: of a union of constants
  bool has_properties = false;
  bool has_required = false;  // maybe an empty list
  bool is_nullable = false;
  bool is_recursive = false;
};

constexpr std::array kKnownKeys = {"description", "type",  "properties", "required",
                                   "enum",        "items", "nullable"};

// References that are being resolved, outermost first.
using Chain = std::vector<const Json*>;

bool is_type_name(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"string", "number", "integer", "boolean",
                                                      "object", "array",  "null"};
  std::string lowered(name);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return std::find(kNames.begin(), kNames.end(), lowered) != kNames.end();
}

bool is_object_type(const Json& type) {
  return type == "object" || type == "OBJECT" || type == "Object";
}

bool is_null_type(const Json& type) { return type == "null" || type == "NULL" || type == "Null"; }

// Only type null, whatever else it says.
bool is_null_schema(const Json& schema) {
  if (!schema.is_object()) return false;
  const auto type = schema.find("type");
  return type != schema.end() && is_null_type(*type);
}

// The strings a schema allows if it is a list of constants; null otherwise.
Json constants_of(const Json& schema) {
  if (!schema.is_object() || schema.contains("$ref")) return nullptr;
  const auto constant = schema.find("const");
  if (constant != schema.end() && constant->is_string()) return Json::array({*constant});
  const auto list = schema.find("enum");
  if (list == schema.end() || !list->is_array() || list->empty()) return nullptr;
  const bool all =
      std::all_of(list->begin(), list->end(), [](const Json& v) { return v.is_string(); });
  return all ? *list : Json();
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// One step of a JSON pointer inside a URI: %41, ~0 and ~1 decoded.
std::string decoded_step(std::string_view step) {
  std::string bytes;
  for (size_t i = 0; i < step.size(); ++i) {
    const bool escaped = step[i] == '%' && i + 2 < step.size() && hex_value(step[i + 1]) >= 0 &&
                         hex_value(step[i + 2]) >= 0;
    bytes +=
        escaped ? static_cast<char>(hex_value(step[i + 1]) * 16 + hex_value(step[i + 2])) : step[i];
    if (escaped) i += 2;
  }
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool escaped = bytes[i] == '~' && i + 1 < bytes.size();
    if (escaped) ++i;
    text += escaped && bytes[i] == '0' ? '~' : escaped && bytes[i] == '1' ? '/' : bytes[i];
  }
  return text;
}

const Json* child_of(const Json& node, const std::string& step) {
  if (node.is_object()) {
    const auto it = node.find(step);
    return it == node.end() ? nullptr : &*it;
  }
  const bool is_index =
      !step.empty() && step.size() < 7 &&
      std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!node.is_array() || !is_index) return nullptr;
  const size_t index = std::stoul(step);
  return index < node.size() ? &node[index] : nullptr;
}

class SchemaReader {
 public:
  SchemaReader(const Json& root, SchemaBudget& budget) : root_(root), budget_(budget) {}

  Json show(const Json& schema, Place place, const std::string& path, Chain chain, size_t depth) {
    if (depth > kMaxDepth) throw ToolSchemaError(path, "the schema is nested too deeply.");
    Flat flat;
    flatten(schema, path, flat, chain);
    Json shown = Json::object();
    if (place == Place::kProperty) {
      show_known_keys(flat, shown);
    } else {
      show_all_keys(flat, path, chain, depth, shown);
    }
    show_items(flat, place, path, chain, depth, shown);
    show_properties(flat, place, path, chain, depth, shown);
    if (flat.is_nullable) shown["nullable"] = true;
    if (flat.constants.is_array()) {
      charge(flat.constants.dump().size());
      shown["enum"] = flat.constants;
    }
    if (place != Place::kRaw) add_type(shown);
    const bool is_object = is_object_type(shown.value("type", Json()));
    if (place == Place::kProperty && is_object && !shown.contains("properties")) {
      shown["properties"] = Json::object();
    }
    return shown;
  }

 private:
  void charge(size_t bytes) {
    if (bytes > budget_.bytes) throw ToolSchemaError("parameters", "the tools are too large.");
    budget_.bytes -= bytes;
  }

  void flatten(const Json& schema, const std::string& path, Flat& flat, Chain& chain) {
    if (budget_.steps == 0) throw ToolSchemaError("parameters", "the tools are too large.");
    --budget_.steps;
    if (schema.is_boolean()) return;
    if (!schema.is_object())
      throw ToolSchemaError(path, "a schema must be an object or a boolean.");
    for (auto it = schema.begin(); it != schema.end(); ++it) take_key(it.key(), *it, path, flat);
    if (const auto ref = schema.find("$ref"); ref != schema.end()) follow(*ref, path, flat, chain);
    if (const auto all = schema.find("allOf"); all != schema.end()) {
      for (const Json& part : checked_list(*all, path + ".allOf")) {
        flatten(part, path + ".allOf", flat, chain);
      }
    }
    for (const char* key : {"anyOf", "oneOf"}) {
      if (const auto any = schema.find(key); any != schema.end()) {
        choose(checked_list(*any, path + "." + key), path + "." + key, flat, chain);
      }
    }
  }

  // What is said first stands: a schema's own keys before those of what it refers to.
  static void take_key(const std::string& key, const Json& value, const std::string& path,
                       Flat& flat) {
    for (const char* other : {"$ref", "allOf", "anyOf", "oneOf", "$defs", "definitions", "$schema",
                              "$id", "$comment"}) {
      if (key == other) return;
    }
    for (const char* known : kKnownKeys) {
      if (value.is_null() && key == known) return;
    }
    const std::string at = path + "." + key;
    if (key == "properties") {
      if (!value.is_object()) throw ToolSchemaError(at, "it must be an object.");
      flat.has_properties = true;
      for (auto it = value.begin(); it != value.end(); ++it)
        flat.properties.emplace(it.key(), &*it);
      return;
    }
    if (key == "required") {
      flat.has_required = true;
      for (const Json& name : checked_list(value, at)) {
        if (!name.is_string()) throw ToolSchemaError(at, "it must be a list of strings.");
        flat.required.push_back(name.get<std::string>());
      }
      return;
    }
    check_key(key, value, at);
    flat.keys.emplace(key, &value);
  }

  static void check_key(const std::string& key, const Json& value, const std::string& at) {
    const auto is_type = [](const Json& type) {
      return type.is_string() && is_type_name(type.get_ref<const std::string&>());
    };
    if (key == "description" && !value.is_string())
      throw ToolSchemaError(at, "it must be a string.");
    if (key == "nullable" && !value.is_boolean())
      throw ToolSchemaError(at, "it must be a boolean.");
    if (key == "enum" && !value.is_array()) throw ToolSchemaError(at, "it must be a list.");
    if (key == "items" && !value.is_structured() && !value.is_boolean()) {
      throw ToolSchemaError(at, "it must be a schema.");
    }
    if (key != "type") return;
    const bool known = value.is_array()
                           ? !value.empty() && std::all_of(value.begin(), value.end(), is_type)
                           : is_type(value);
    if (!known) {
      throw ToolSchemaError(at,
                            "types are 'string', 'number', 'integer', 'boolean', 'object', "
                            "'array' and 'null'.");
    }
  }

  static const Json& checked_list(const Json& value, const std::string& path) {
    if (!value.is_array()) throw ToolSchemaError(path, "it must be a list.");
    return value;
  }

  void follow(const Json& ref, const std::string& path, Flat& flat, Chain& chain) {
    const std::string at = path + ".$ref";
    if (!ref.is_string()) throw ToolSchemaError(at, "it must be a string.");
    const Json* target = resolve(ref.get_ref<const std::string&>());
    if (target == nullptr) {
      throw ToolSchemaError(at, "it must point into the same schema: '#/$defs/name'.");
    }
    if (std::find(chain.begin(), chain.end(), target) != chain.end()) {
      flat.is_recursive = true;
      if (flat.keys.count("type") == 0) flat.keys.emplace("type", &object_type());
      return;
    }
    if (chain.size() >= kMaxDepth)
      throw ToolSchemaError(at, "the references are nested too deeply.");
    chain.push_back(target);
    flatten(*target, path, flat, chain);
  }

  static const Json& object_type() {
    static const Json object = "object";
    return object;
  }

  const Json* resolve(std::string_view ref) const {
    if (!ref.starts_with("#")) return nullptr;
    ref.remove_prefix(1);
    const Json* node = &root_;
    while (!ref.empty() && node != nullptr) {
      if (ref.front() != '/') return nullptr;
      ref.remove_prefix(1);
      const size_t end = std::min(ref.find('/'), ref.size());
      node = child_of(*node, decoded_step(ref.substr(0, end)));
      ref.remove_prefix(end);
    }
    return node;
  }

  void choose(const Json& alternatives, const std::string& path, Flat& flat, Chain& chain) {
    Json constants = Json::array();
    const Json* first = nullptr;
    bool all_constant = true;
    for (const Json& alternative : alternatives) {
      if (is_null_schema(alternative)) {
        flat.is_nullable = true;
        continue;
      }
      if (first == nullptr) first = &alternative;
      const Json own = constants_of(alternative);
      all_constant = all_constant && own.is_array();
      if (all_constant) constants.insert(constants.end(), own.begin(), own.end());
    }
    if (first == nullptr) return;
    if (all_constant && flat.keys.count("enum") == 0) {
      flat.constants = std::move(constants);
      if (flat.keys.count("type") == 0) flat.keys.emplace("type", &string_type());
      return;
    }
    flatten(*first, path, flat, chain);
  }

  static const Json& string_type() {
    static const Json type = "string";
    return type;
  }

  void show_known_keys(Flat& flat, Json& shown) {
    for (const char* key : {"description", "enum", "nullable"}) {
      const auto it = flat.keys.find(key);
      if (it == flat.keys.end()) continue;
      charge(it->second->is_string() ? it->second->get_ref<const std::string&>().size()
                                     : it->second->dump().size());
      shown[key] = *it->second;
    }
    const auto type = flat.keys.find("type");
    if (type == flat.keys.end()) return;
    if (type->second->is_string()) {
      shown["type"] = *type->second;
      return;
    }
    for (const Json& one : *type->second) {
      if (is_null_type(one)) {
        flat.is_nullable = true;
      } else if (!shown.contains("type")) {
        shown["type"] = one;
      }
    }
    if (!shown.contains("type")) shown["type"] = "null";
  }

  void show_all_keys(const Flat& flat, const std::string& path, const Chain& chain, size_t depth,
                     Json& shown) {
    for (const auto& [key, value] : flat.keys) {
      if (key == "items" && value->is_object()) continue;
      if (key == "additionalProperties" && value->is_object()) {
        shown[key] = show(*value, Place::kRaw, path + "." + key, chain, depth + 1);
        continue;
      }
      charge(key.size() + value->dump().size());
      shown[key] = *value;
    }
  }

  void show_items(const Flat& flat, Place place, const std::string& path, const Chain& chain,
                  size_t depth, Json& shown) {
    const auto items = flat.keys.find("items");
    if (items == flat.keys.end() || !items->second->is_object() || flat.is_recursive) return;
    const Place inner = place == Place::kProperty ? Place::kItems : Place::kRaw;
    shown["items"] = show(*items->second, inner, path + ".items", chain, depth + 1);
  }

  void show_properties(const Flat& flat, Place place, const std::string& path, const Chain& chain,
                       size_t depth, Json& shown) {
    if (flat.has_required) shown["required"] = flat.required;
    for (const std::string& name : flat.required) charge(name.size() + 4);
    if (!flat.has_properties) return;
    Json& properties = shown["properties"] = Json::object();
    const Place inner = place == Place::kRaw ? Place::kRaw : Place::kProperty;
    for (const auto& [name, schema] : flat.properties) {
      charge(name.size() + 16);
      properties[name] = show(*schema, inner, path + ".properties." + name, chain, depth + 1);
    }
  }

  // What can be told from the rest of the schema.
  static void add_type(Json& shown) {
    if (shown.contains("type")) return;
    if (shown.contains("properties")) {
      shown["type"] = "object";
    } else if (shown.contains("items")) {
      shown["type"] = "array";
    } else if (constants_of(shown).is_array()) {
      shown["type"] = "string";
    }
  }

  const Json& root_;
  SchemaBudget& budget_;
};

}  // namespace

Json shown_parameters(const Json& schema, SchemaBudget& budget) {
  if (schema.is_null()) return nullptr;
  const std::string path = "parameters";
  if (!schema.is_object()) throw ToolSchemaError(path, "it must be an object.");
  if (schema.empty()) return nullptr;
  Json shown = SchemaReader(schema, budget).show(schema, Place::kProperty, path, {&schema}, 0);
  const auto type = shown.find("type");
  if (type == shown.end()) {
    shown["type"] = "object";
  } else if (!is_object_type(*type)) {
    throw ToolSchemaError(path + ".type", "the parameters of a function are an 'object'.");
  }
  return shown;
}

}  // namespace lapidary
