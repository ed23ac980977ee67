// Parts of a JSON text with the keys in their order: the order in which answers have to give the
// properties of a schema. Pure, any thread; one pass, no recursion.
// REQUIRES: a text that scan_json() let through without duplicate keys. So objects are filled
// without looking for doubles, which for wide ones would cost the square of their size.
#pragma once

#include <string_view>
#include <vector>

#include "server/schema/json_value.h"

namespace lapidary {

// The value at this path of keys; null when there is none.
OrderedJson ordered_value(std::string_view text, const std::vector<std::string_view>& path);

}  // namespace lapidary
