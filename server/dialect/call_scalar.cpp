#include "server/dialect/call_scalar.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "server/api/json_text.h"
#include "server/dialect/white_space.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

size_t digits_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  return end - at;
}

// true, false or null; also as Python writes them.
std::optional<std::string> literal(std::string_view text) {
  for (const char* name : {"true", "false", "null"}) {
    if (text == name) return name;
  }
  if (text == "True") return "true";
  if (text == "False") return "false";
  if (text == "None" || text == "nil") return "null";
  return std::nullopt;
}

// 3.0 -> 3; anything else as it is.
std::string_view without_zero_fraction(std::string_view number) {
  const size_t dot = number.find('.');
  if (dot == std::string_view::npos) return number;
  const bool zeros = number.find_first_not_of('0', dot + 1) == std::string_view::npos;
  return zeros ? number.substr(0, dot) : number;
}

bool is_finite(std::string_view number) {
  return std::isfinite(std::strtod(std::string(number).c_str(), nullptr));
}

// Null for what is no object.
const Json* object_in(const Json* schema, const std::string& key) {
  if (schema == nullptr || !schema->is_object()) return nullptr;
  const auto it = schema->find(key);
  return it != schema->end() && it->is_object() ? &*it : nullptr;
}

}  // namespace

const Json* declared_property(const Json* schema, const std::string& key) {
  return object_in(object_in(schema, "properties"), key);
}

const Json* declared_items(const Json* schema) { return object_in(schema, "items"); }

std::string declared_type(const Json* schema) {
  if (schema == nullptr) return {};
  const auto type = schema->find("type");
  if (type == schema->end()) return {};
  if (type->is_string()) return lower(type->get<std::string>());
  // A list of types: it says something only if it leaves one beside null.
  std::string only;
  for (const Json& one : *type) {
    const std::string name = lower(one.get<std::string>());
    if (name == "null") continue;
    if (!only.empty()) return {};
    only = name;
  }
  return only;
}

bool is_json_number(std::string_view text) {
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const size_t whole = digits_at(text, at);
  if (whole == 0 || (whole > 1 && text[at] == '0')) return false;
  at += whole;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = digits_at(text, at + 1);
    if (fraction == 0) return false;
    at += 1 + fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

bool is_bare_literal(std::string_view text) { return literal(text) || is_json_number(text); }

std::string bare_scalar(std::string_view text, const Json* schema) {
  text = strip(text);
  if (text.empty()) return "null";
  const std::string type = declared_type(schema);
  const std::optional<std::string> word = literal(text);
  if (type == "string") return word == "null" ? "null" : json_string(text);
  if (word) return *word;
  if (!is_json_number(text) || !is_finite(text)) return json_string(text);
  return std::string(type == "integer" ? without_zero_fraction(text) : text);
}

std::string typed_string(std::string_view text, const Json* schema) {
  const std::string type = declared_type(schema);
  const std::string_view bare = strip(text);
  const std::optional<std::string> word = literal(bare);
  if (type == "boolean" && word && *word != "null") return *word;
  if ((type == "integer" || type == "number") && is_json_number(bare) && is_finite(bare)) {
    const std::string_view number = type == "integer" ? without_zero_fraction(bare) : bare;
    const bool is_whole = number.find_first_of(".eE") == std::string_view::npos;
    if (type == "number" || is_whole) return std::string(number);
  }
  return json_string(text);
}

std::string unquoted(std::string_view raw, char quote) {
  if (raw.find('\\') == std::string_view::npos) return std::string(raw);
  std::string text;
  if (quote == '"') {
    const Json parsed = Json::parse("\"" + std::string(raw) + "\"", nullptr, false);
    if (parsed.is_string()) return parsed.get<std::string>();
  }
  for (size_t i = 0; i < raw.size(); ++i) {
    const bool escapes =
        raw[i] == '\\' && i + 1 < raw.size() && (raw[i + 1] == quote || raw[i + 1] == '\\');
    if (escapes) ++i;
    text += raw[i];
  }
  return text;
}

}  // namespace lapidary
