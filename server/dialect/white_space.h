// White space as Python's str.strip() sees it, which is what the chat template trims: 29 code
// points of Unicode, the no-break and ideographic spaces among them, U+200B and U+FEFF not.
// Pure functions on UTF-8; a malformed byte is not white space.
#pragma once

#include <cstddef>
#include <string_view>

namespace lapidary {

// Bytes of the white-space character that `text` begins (ends) with; 0 if it does not.
size_t leading_space_bytes(std::string_view text);
size_t trailing_space_bytes(std::string_view text);

// `text` without white space at its end, and at both ends.
std::string_view strip_end(std::string_view text);
std::string_view strip(std::string_view text);

}  // namespace lapidary
