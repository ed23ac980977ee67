// From the JSON Schema that a client sends with a tool to the part of it that Gemma's chat template
// can show. The template knows one type a property, no references and no unions, and writes broken
// text for some schemas; so here, before it sees them:
//   $ref is resolved (local ones; where a schema contains itself, the inner one is shown as a bare
//   object), allOf is merged, a union of a type and null becomes the type with nullable true, a
//   union of string constants becomes an enum, of any other union the first type is shown; a type
//   that is missing and can be told is added, and an object without properties gets an empty list.
// A schema without any of these comes out as it went in, as far as the template shows it.
// Pure, any thread. Work and output are bounded, whatever the schema.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

namespace lapidary {

// A schema that is malformed or too large. `path` is that of the place in it: "properties.a.type".
struct ToolSchemaError : std::runtime_error {
  ToolSchemaError(std::string the_path, const std::string& reason)
      : std::runtime_error(reason), path(std::move(the_path)) {}
  std::string path;
};

// What the schemas of one request may still come to, references resolved. A context holds no more.
struct SchemaBudget {
  size_t bytes = 2 << 20;
  size_t steps = 50'000;
};

// The parameters of a function, an object schema. The result has `type` and is null for a schema
// that says nothing (null, {}). Throws ToolSchemaError.
nlohmann::json shown_parameters(const nlohmann::json& schema, SchemaBudget& budget);

}  // namespace lapidary
