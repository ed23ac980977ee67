// Any bytes: the scan and the parser behind it agree on what is JSON, and a fault lies inside the
// text.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "config/json_scan.h"
#include "kernels/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto strict = lapidary::scan_json(text, {});
  const auto lenient =
      lapidary::scan_json(text, {.max_depth = 1000, .reject_duplicate_keys = false});
  if (strict) CHECK(strict->offset <= size && !strict->reason.empty());
  if (!strict) CHECK(!lenient);
  const bool is_json = nlohmann::json::accept(text);
  if (!lenient) {
    CHECK(is_json);
  } else if (is_json) {
    // What the parser lets pass: numbers it cannot hold, deep nesting, a byte order mark, and
    // anything behind a NUL, which it takes for the end.
    const bool known = lenient->reason.find("number") != std::string::npos ||
                       lenient->reason.find("nested") != std::string::npos ||
                       text.substr(0, 3) == "\xEF\xBB\xBF" || text[lenient->offset] == '\0';
    CHECK(known);
  }
  return 0;
}
