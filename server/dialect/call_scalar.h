// One scalar of a call's arguments as JSON text: what the model wrote, seen with the type that the
// parameter was declared with. Schemas are those of shown_parameters(); null: not declared. Pure
// functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace lapidary {

// The schema of an object's entry, and of a list's elements; null where there is none.
const nlohmann::json* declared_property(const nlohmann::json* schema, const std::string& key);
const nlohmann::json* declared_items(const nlohmann::json* schema);
// The declared type in lower case; "" if there is none.
std::string declared_type(const nlohmann::json* schema);

// True for numbers of JSON, whatever their size: "-0.5", "1e5"; not "007", ".5", "NaN".
bool is_json_number(std::string_view text);
// A number, or true, false, null in JSON's spelling or Python's.
bool is_bare_literal(std::string_view text);

// A value written without delimiters.
std::string bare_scalar(std::string_view text, const nlohmann::json* schema);
// A string whose declared type is not string: a number or boolean where it spells one.
std::string typed_string(std::string_view text, const nlohmann::json* schema);
// The text of a string between ordinary quotes, escapes undone where they are JSON's.
std::string unquoted(std::string_view raw, char quote);

}  // namespace lapidary
