#include "config/checked_json.h"

#include <cmath>
#include <fstream>
#include <system_error>
#include <utility>

#include "config/startup_error.h"

namespace lapidary {

using nlohmann::json;

json parse_checked_json(std::string_view text, const JsonLimits& limits, const std::string& name) {
  if (const auto fault = scan_json(text, limits)) {
    throw StartupError(name + " is not valid JSON for this purpose: " + fault->reason + " (byte " +
                       std::to_string(fault->offset) + ").");
  }
  // The scan accepts what the parser accepts; a difference would be a file to refuse, not a crash.
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) throw StartupError(name + " is not valid JSON.");
  return value;
}

std::string read_small_file(const std::filesystem::path& path, size_t max_bytes) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw StartupError(path.string() + " does not exist.");
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    throw StartupError(path.string() + " is not a regular file.");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text;
  char buffer[1 << 16];
  while (text.size() <= max_bytes && (file.read(buffer, sizeof(buffer)) || file.gcount() > 0)) {
    text.append(buffer, static_cast<size_t>(file.gcount()));
  }
  if (file.bad() || (!file.eof() && text.size() <= max_bytes)) {
    throw StartupError(path.string() + " cannot be read.");
  }
  if (text.size() > max_bytes) {
    throw StartupError(path.string() + " is larger than the " + std::to_string(max_bytes) +
                       " bytes allowed for it.");
  }
  return text;
}

json read_checked_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_checked_json(read_small_file(path, limits.max_bytes), limits, path.string());
}

std::string printable(const std::string& text) {
  constexpr size_t kMaxShown = 200;
  const std::string quoted =
      json(text.substr(0, kMaxShown)).dump(-1, ' ', true, json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2) + (text.size() > kMaxShown ? "..." : "");
}

ConfigObject::ConfigObject(json value, std::string where)
    : value_(std::move(value)), where_(std::move(where)) {
  if (!value_.is_object()) throw StartupError(where_ + " must be a JSON object.");
}

const json* ConfigObject::find(const std::string& key) const {
  const auto it = value_.find(key);
  return it == value_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigObject::refuse(const std::string& key, const std::string& what) const {
  throw StartupError(where_ + ": `" + printable(key) + "` " + what + ".");
}

int64_t ConfigObject::checked(const std::string& key, const json& v, int64_t min,
                              int64_t max) const {
  const std::string wanted =
      "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  if (!v.is_number_integer()) refuse(key, wanted);
  // An unsigned above int64 would wrap to a negative number.
  if (v.is_number_unsigned() &&
      v.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    refuse(key, wanted);
  }
  const auto n = v.get<int64_t>();
  if (n < min || n > max) refuse(key, wanted + ", not " + std::to_string(n));
  return n;
}

std::optional<int64_t> ConfigObject::integer(const std::string& key, int64_t min,
                                             int64_t max) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  return checked(key, *v, min, max);
}

std::optional<double> ConfigObject::number(const std::string& key, double min, double max) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (!v->is_number()) refuse(key, "must be a number");
  const auto n = v->get<double>();
  if (!std::isfinite(n) || n < min || n > max) {
    refuse(key, "must be a number from " + json(min).dump() + " to " + json(max).dump());
  }
  return n;
}

std::optional<bool> ConfigObject::boolean(const std::string& key) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (!v->is_boolean()) refuse(key, "must be true or false");
  return v->get<bool>();
}

std::optional<std::string> ConfigObject::text(const std::string& key) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  if (!v->is_string()) refuse(key, "must be a string");
  return v->get<std::string>();
}

std::optional<ConfigObject> ConfigObject::object(const std::string& key) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  return ConfigObject(*v, where_ + ": " + key);
}

std::optional<std::vector<int64_t>> ConfigObject::integers(const std::string& key, int64_t min,
                                                           int64_t max) const {
  const json* v = find(key);
  if (v == nullptr) return std::nullopt;
  std::vector<int64_t> list;
  if (!v->is_array()) {
    list.push_back(checked(key, *v, min, max));
  } else {
    for (const json& item : *v) list.push_back(checked(key, item, min, max));
  }
  return list;
}

}  // namespace lapidary
