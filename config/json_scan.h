// A check of JSON text before any parser sees it: strict grammar (RFC 8259), UTF-8, sizes. Needs
// memory in proportion to the nesting only (and to the keys where duplicates are refused) and never
// recurses, so hostile text costs one pass. Serves request bodies and the files of a checkpoint,
// which differ in their limits. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lapidary {

struct JsonLimits {
  size_t max_bytes = 4 << 20;
  size_t max_depth = 64;        // containers inside each other; a lone number has depth 0
  size_t max_values = 200'000;  // containers, strings, numbers and literals; keys do not count
  bool reject_duplicate_keys = true;
};

struct JsonFault {
  std::string reason;  // a short sentence without a full stop, e.g. "a string is not valid UTF-8"
  size_t offset;       // byte offset of the fault
};

// Nothing when `text` is one JSON value within the limits and every number in it can be held: an
// integer in 64 bits (signed, or unsigned when positive), any other number as a finite double.
std::optional<JsonFault> scan_json(std::string_view text, const JsonLimits& limits);

// Appends what a JSON string stands for. REQUIRES: raw, the text between its quotes, has passed the
// scan.
void append_unescaped(std::string_view raw, std::string& text);

}  // namespace lapidary
