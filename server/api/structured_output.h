// What form a request asks its answer to have: `response_format` (OpenAI), or `structured_outputs`
// (vLLM). Reads and checks the fields; server/api/constraints compiles it. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/api/fields.h"
#include "server/schema/json_value.h"

namespace lapidary {

struct StructuredOutput {
  enum class Kind { kNone, kSchema, kObject, kRegex, kGrammar, kChoice };
  Kind kind = Kind::kNone;
  OrderedJson schema;                // kSchema
  std::string text;                  // kRegex, kGrammar
  std::vector<std::string> choices;  // kChoice
  std::string path;                  // of it, in the request
};

// `text` is what `body` was parsed from: there the keys of a schema have their order. Without it
// (empty) they are sorted. Throws ApiError.
StructuredOutput parse_structured_output(const Fields& body, std::string_view text);

}  // namespace lapidary
