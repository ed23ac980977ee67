// The table behind ServeConfig: one row a setting, from which flags, environment variables, TOML
// keys, limits, help and --print-config are all made. Adding a setting is a field in ServeConfig
// and a row here. Read-only after start, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/serve_config.h"

namespace lapidary {

using SettingMember =
    std::variant<std::string ServeConfig::*, int ServeConfig::*, int64_t ServeConfig::*,
                 double ServeConfig::*, std::optional<int64_t> ServeConfig::*,
                 std::vector<std::string> ServeConfig::*>;

struct Setting {
  const char* name;   // the flag without dashes, and the TOML key
  const char* group;  // heading in --help
  SettingMember member;
  const char* help;
  double min = 0, max = 0;                // numbers only, both included
  const char* zero_word = nullptr;        // another spelling of 0: "auto", "none"
  std::vector<std::string> choices = {};  // strings only; empty: any
  const char* alias = nullptr;            // the flag as other servers spell it, with dashes

  std::string environment_name() const;  // LAPIDARY_MAX_MODEL_LEN
};

const std::vector<Setting>& settings();

// Null when there is none. Accepts underscores for dashes.
const Setting* find_setting(const std::string& name);
// The name that was probably meant.
std::string nearest_name(const std::string& typed, const std::vector<std::string>& names);

// Sets the field from texts (one, but for lists) and remembers the origin. Throws StartupError.
void set_value(ServeConfig& config, const Setting& setting, const std::vector<std::string>& texts,
               const std::string& origin);

// The field's value as TOML.
std::string toml_value(const ServeConfig& config, const Setting& setting);

}  // namespace lapidary
