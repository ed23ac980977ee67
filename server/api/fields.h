// A JSON object of a request read field by field: every getter checks the type and, where there is
// one, the minimum and the maximum, and throws an ApiError that names the field by its path. A
// field that is absent and one that is null are the same: the default. Unknown fields are no error.
// A view on the request's JSON, used by the thread that handles it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "server/api/api_error.h"

namespace lapidary {

// The body as a JSON object: pre-scanned (size, depth, number of values, duplicate keys, UTF-8),
// only then parsed.
nlohmann::json parse_body(const std::string& body, size_t max_bytes, size_t max_values);

// "a string", "an integer", ...: how messages call the type of a value.
const char* type_name(const nlohmann::json& value);

struct DecimalRange {
  double min = 0, max = 0;
  bool min_is_open = false;  // the minimum itself is refused
};

class Fields {
 public:
  // REQUIRES: an object that outlives this view. `prefix` is its path, "" for the body.
  explicit Fields(const nlohmann::json& object, std::string prefix = "");

  const nlohmann::json* find(std::string_view name) const;  // null: absent or null
  std::string path(std::string_view name) const;

  std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max) const;
  std::optional<double> decimal(std::string_view name, const DecimalRange& range) const;
  std::optional<bool> boolean(std::string_view name) const;
  std::optional<std::string> text(std::string_view name, size_t max_bytes) const;
  const nlohmann::json* array(std::string_view name, size_t min, size_t max) const;
  const nlohmann::json* object(std::string_view name) const;
  // One of the values of a closed list.
  std::optional<std::string> choice(std::string_view name,
                                    std::initializer_list<std::string_view> values) const;

 private:
  const nlohmann::json& object_;
  std::string prefix_;
};

// The same checks for a value that is no field of its own: an element of a list.
int64_t checked_integer(const nlohmann::json& value, const std::string& path, int64_t min,
                        int64_t max);
double checked_decimal(const nlohmann::json& value, const std::string& path,
                       const DecimalRange& range);
std::string checked_text(const nlohmann::json& value, const std::string& path, size_t max_bytes);
void check_array(const nlohmann::json& value, const std::string& path, size_t min, size_t max);
void check_object(const nlohmann::json& value, const std::string& path);

}  // namespace lapidary
