// The order of a schema's keys, kept where a body is rewritten: an answer gives properties in the
// order of the client's text, which parsed JSON has lost. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lapidary {

// What stands for the text of the chat body: of `text`, the form of the answer, which is at
// `format_path` there, and the extras that are spelled alike; empty if neither was asked for.
// REQUIRES: a text that Service::parse took.
std::string chat_schema_text(std::string_view text,
                             const std::vector<std::string_view>& format_path);

}  // namespace lapidary
