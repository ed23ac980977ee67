// The values of JSON Schema's `format` that are understood, as patterns: each describes strings
// that are surely of the format, not all of them (no leap day or second, for example).
// https://json-schema.org/draft/2020-12/json-schema-validation#section-7, OpenAPI's registry and
// the names that Pydantic writes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lapidary {

// A regular expression for the whole string; nothing for a format that is not understood.
// A URI is as long as it likes, but under a `max_length` of 512 and more none gets longer than 512:
// counting every character of a longer one would take more states than a grammar may have.
std::optional<std::string> format_pattern(std::string_view format,
                                          std::optional<size_t> max_length = std::nullopt);

// Formats that say what a string is for, not what may be in it (`password`, `binary`, a path).
bool is_free_format(std::string_view format);

}  // namespace lapidary
