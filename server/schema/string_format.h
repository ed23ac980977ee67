// The values of JSON Schema's `format` that are understood, as patterns: each describes strings
// that are surely of the format, not all of them (no leap day or second, for example).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lapidary {

// A regular expression for the whole string; nothing for a format that is not understood.
std::optional<std::string> format_pattern(std::string_view format);

}  // namespace lapidary
