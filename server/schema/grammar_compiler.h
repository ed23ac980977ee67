// What requests ask for, compiled: JSON schemas, tools, regular expressions, EBNF, choices. Text
// and JSON in, a Grammar for the engine out. Any thread; bounded in time and memory whatever comes.
// Never throws for what a client sends: a refusal names the place and the reason, and there is no
// grammar then. Nothing is ever ignored.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/grammar/grammar.h"
#include "server/schema/json_value.h"

namespace lapidary {

struct GrammarRefusal {
  std::string path;  // a JSON pointer into the schema; empty: the whole
  std::string reason;
};

using CompiledGrammar = std::variant<std::shared_ptr<const Grammar>, GrammarRefusal>;

// A tool that may be called, with the schema of its arguments.
struct ToolArguments {
  std::string name;
  OrderedJson parameters = OrderedJson::object();
};

class GrammarCompiler {
 public:
  // The vocabulary must outlive the grammars.
  explicit GrammarCompiler(const GrammarVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  CompiledGrammar json_schema(const OrderedJson& schema) const;
  // From text, which keeps the order of keys; at most kMaxSchemaBytes.
  CompiledGrammar json_schema_text(std::string_view text) const;
  CompiledGrammar json_object() const;
  CompiledGrammar regex(std::string_view pattern) const;
  CompiledGrammar ebnf(std::string_view text) const;
  CompiledGrammar choice(const std::vector<std::string>& choices) const;
  // From `min_calls` to `max_calls` calls, one behind the other, in Gemma's own syntax. The path of
  // a refusal begins with the tool: "/0/parameters/...".
  CompiledGrammar tool_calls(const std::vector<ToolArguments>& tools, int min_calls,
                             int max_calls) const;

  static constexpr size_t kMaxSchemaBytes = size_t{512} << 10;
  static constexpr int kMaxCalls = 64;

 private:
  const GrammarVocabulary& vocabulary_;
};

}  // namespace lapidary
