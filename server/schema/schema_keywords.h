// The keywords of JSON Schema that are understood, and the ones that say nothing about answers.
// Pure functions.
#pragma once

#include <string>

#include "server/schema/json_value.h"

namespace lapidary {

// Throws SchemaRefused for a schema that is neither an object nor a boolean, and for any keyword
// that is not supported or whose value is of the wrong form.
void check_keywords(const OrderedJson& schema, const std::string& path);

// "/a~1b" behind "/properties".
std::string path_in(const std::string& path, const std::string& key);
std::string path_in(const std::string& path, size_t index);

}  // namespace lapidary
