// What a function may be called: the names that Gemma's call syntax can carry.
#pragma once

#include <algorithm>
#include <string_view>

namespace lapidary {

// OpenAI takes 64; names of MCP servers with a prefix are longer.
constexpr size_t kMaxToolNameBytes = 128;

inline bool is_tool_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// Of any length but none.
inline bool has_tool_name_chars(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tool_name_char);
}

}  // namespace lapidary
