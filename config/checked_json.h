// JSON files of a checkpoint, read as hostile input: bounded in size, pre-scanned, and taken apart
// by getters that check type and range and say in StartupError which file and key is wrong. Pure
// functions and values, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/json_scan.h"

namespace lapidary {

// `name` stands in the messages. Throws StartupError.
nlohmann::json parse_checked_json(std::string_view text, const JsonLimits& limits,
                                  const std::string& name);

// A regular file of at most limits.max_bytes. Throws StartupError.
std::string read_small_file(const std::filesystem::path& path, size_t max_bytes);
nlohmann::json read_checked_json(const std::filesystem::path& path, const JsonLimits& limits);

// A name from a file, fit for a one-line message: control bytes escaped, long ones cut.
std::string printable(const std::string& text);

// A JSON object with checked getters. An absent key and a null are the same: "none".
class ConfigObject {
 public:
  // `where` is how messages call it: "DIR/config.json" or "DIR/config.json: text_config".
  // Throws StartupError when `value` is no object.
  ConfigObject(nlohmann::json value, std::string where);

  // Null when absent or null.
  const nlohmann::json* find(const std::string& key) const;
  bool mentions(const std::string& key) const { return value_.contains(key); }  // even as null
  const nlohmann::json& value() const { return value_; }
  const std::string& where() const { return where_; }

  std::optional<int64_t> integer(const std::string& key, int64_t min, int64_t max) const;
  std::optional<double> number(const std::string& key, double min, double max) const;
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  std::optional<ConfigObject> object(const std::string& key) const;
  // A list of integers; a lone integer is a list of one.
  std::optional<std::vector<int64_t>> integers(const std::string& key, int64_t min,
                                               int64_t max) const;

  // Throws: "DIR/config.json: `key` <what>."
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const;

  // The getters' value, or a refusal because the key is missing.
  template <typename T>
  T require(const std::string& key, std::optional<T> found) const {
    if (!found) refuse(key, "is missing");
    return *std::move(found);
  }

 private:
  int64_t checked(const std::string& key, const nlohmann::json& v, int64_t min, int64_t max) const;

  nlohmann::json value_;
  std::string where_;
};

}  // namespace lapidary
