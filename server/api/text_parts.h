// Content given as text or as a list of typed parts, in the spellings of the other front doors.
// What is no text (images, files, documents) is refused by its type. Pure, any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "server/api/fields.h"

namespace lapidary {

// A kind of part that is text: its `type` and the field that holds the text.
struct TextPart {
  const char* type;
  const char* field;
};

// The text of one part. The first of `kinds` is the one that refusals recommend. Throws ApiError.
std::string parse_text_part(const Fields& part, std::span<const TextPart> kinds);

// The texts of a string (one) or of a list of parts (one each). Throws ApiError.
std::vector<std::string> parse_texts(const nlohmann::json& content, const std::string& path,
                                     std::span<const TextPart> kinds);

// The same as a chat message's content: one text is a string, several are parts.
nlohmann::json chat_content(std::vector<std::string> texts);

std::string joined(const std::vector<std::string>& texts);

}  // namespace lapidary
