#include "server/api/fields.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "config/json_scan.h"

namespace lapidary {
namespace {

using Json = nlohmann::json;

std::string bound_text(const char* relation, double bound) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, "%s %.10g", relation, bound);
  return buffer;
}

}  // namespace

Json parse_body(const std::string& body, size_t max_bytes, size_t max_values) {
  JsonLimits limits;
  limits.max_bytes = max_bytes;
  limits.max_values = max_values;
  if (const auto fault = scan_json(body, limits)) {
    throw api_error::malformed_json(fault->reason, fault->offset);
  }
  Json value = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) throw api_error::malformed_json("it is not valid JSON", 0);
  if (!value.is_object()) {
    ApiError error = api_error::invalid_type("body", "an object", type_name(value));
    error.param.clear();
    throw error;
  }
  return value;
}

const char* type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a decimal number";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::array:
      return "an array";
    default:
      return "an object";
  }
}

int64_t checked_integer(const Json& value, const std::string& path, int64_t min, int64_t max) {
  if (!value.is_number_integer()) {
    throw api_error::invalid_type(path, "an integer", type_name(value));
  }
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (value.is_number_unsigned() && value.get<uint64_t>() > kMax) {
    throw api_error::integer_above_max(path, max, value.dump());
  }
  const auto number = value.get<int64_t>();
  if (number < min) throw api_error::integer_below_min(path, min, std::to_string(number));
  if (number > max) throw api_error::integer_above_max(path, max, std::to_string(number));
  return number;
}

double checked_decimal(const Json& value, const std::string& path, const DecimalRange& range) {
  if (!value.is_number()) throw api_error::invalid_type(path, "a decimal", type_name(value));
  const auto number = value.get<double>();
  if (!std::isfinite(number)) throw api_error::invalid_value(path, "the number is not finite.");
  if (number < range.min || (range.min_is_open && number == range.min)) {
    throw api_error::decimal_below_min(path, bound_text(range.min_is_open ? ">" : ">=", range.min),
                                       number);
  }
  if (number > range.max) {
    throw api_error::decimal_above_max(path, bound_text("<=", range.max), number);
  }
  return number;
}

std::string checked_text(const Json& value, const std::string& path, size_t max_bytes) {
  if (!value.is_string()) throw api_error::invalid_type(path, "a string", type_name(value));
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > max_bytes) throw api_error::string_too_long(path, max_bytes, text.size());
  return text;
}

void check_array(const Json& value, const std::string& path, size_t min, size_t max) {
  if (!value.is_array()) throw api_error::invalid_type(path, "an array", type_name(value));
  if (value.size() < min) throw api_error::array_too_short(path, min, value.size());
  if (value.size() > max) throw api_error::array_too_long(path, max, value.size());
}

void check_object(const Json& value, const std::string& path) {
  if (!value.is_object()) throw api_error::invalid_type(path, "an object", type_name(value));
}

Fields::Fields(const Json& object, std::string prefix)
    : object_(object), prefix_(std::move(prefix)) {}

const Json* Fields::find(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

std::string Fields::path(std::string_view name) const {
  return prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t min, int64_t max) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  return checked_integer(*value, path(name), min, max);
}

std::optional<double> Fields::decimal(std::string_view name, const DecimalRange& range) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  return checked_decimal(*value, path(name), range);
}

std::optional<bool> Fields::boolean(std::string_view name) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) {
    throw api_error::invalid_type(path(name), "a boolean", type_name(*value));
  }
  return value->get<bool>();
}

std::optional<std::string> Fields::text(std::string_view name, size_t max_bytes) const {
  const Json* value = find(name);
  if (value == nullptr) return std::nullopt;
  return checked_text(*value, path(name), max_bytes);
}

const Json* Fields::array(std::string_view name, size_t min, size_t max) const {
  const Json* value = find(name);
  if (value != nullptr) check_array(*value, path(name), min, max);
  return value;
}

const Json* Fields::object(std::string_view name) const {
  const Json* value = find(name);
  if (value != nullptr) check_object(*value, path(name));
  return value;
}

std::optional<std::string> Fields::choice(std::string_view name,
                                          std::initializer_list<std::string_view> values) const {
  const auto value = text(name, 64);
  if (!value || std::find(values.begin(), values.end(), *value) != values.end()) return value;
  std::string list;
  for (const std::string_view v : values) {
    list += (list.empty() ? "'" : ", '") + std::string(v) + "'";
  }
  throw api_error::invalid_value(path(name), "supported values are " + list + ".");
}

}  // namespace lapidary
