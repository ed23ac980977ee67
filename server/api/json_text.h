// Writing JSON text by appending to a string: what a stream does for every token, where a tree of
// JSON values would cost more than the token itself. Pure functions, any thread.
// Expects valid UTF-8; escapes quotes, backslashes and control characters only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lapidary {

void append_json_string(std::string& out, std::string_view text);          // with its quotes
void append_json_escaped(std::string& out, std::string_view text);         // without them
void append_json_string_or_null(std::string& out, std::string_view text);  // empty: null
void append_json_integer(std::string& out, int64_t value);
// A log-probability; what JSON cannot say (-inf, NaN) becomes -9999, OpenAI's "very unlikely".
void append_json_logprob(std::string& out, float value);

}  // namespace lapidary
