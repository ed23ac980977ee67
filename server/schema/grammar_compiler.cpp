#include "server/schema/grammar_compiler.h"

#include <algorithm>
#include <functional>

#include "config/json_scan.h"
#include "engine/grammar/ebnf_reader.h"
#include "engine/grammar/text_sources.h"
#include "server/dialect/tool_name.h"
#include "server/schema/schema_writer.h"

namespace lapidary {
namespace {

CompiledGrammar compiled(const GrammarVocabulary& vocabulary,
                         const std::function<GrammarSource()>& source) {
  try {
    return Grammar::compile(source(), vocabulary);
  } catch (const SchemaRefused& refused) {
    return GrammarRefusal{refused.path(), refused.what()};
  } catch (const GrammarRefused& refused) {
    return GrammarRefusal{"", refused.what()};
  }
}

uint32_t control_token(const GrammarVocabulary& vocabulary, const char* text) {
  const auto id = vocabulary.control_id(text);
  if (!id) throw GrammarRefused(std::string("this model has no token ") + text);
  return static_cast<uint32_t>(*id);
}

}  // namespace

CompiledGrammar GrammarCompiler::json_schema(const OrderedJson& schema) const {
  return compiled(vocabulary_, [&] {
    GrammarSource source;
    SchemaReader reader(schema);
    source.root = SchemaWriter(source, LeafSyntax::kJson, -1).write_root(reader, schema, false);
    return source;
  });
}

CompiledGrammar GrammarCompiler::json_schema_text(std::string_view text) const {
  if (text.size() > kMaxSchemaBytes) return GrammarRefusal{"", "the schema is too long"};
  JsonLimits limits;
  limits.max_bytes = kMaxSchemaBytes;
  if (const auto fault = scan_json(text, limits)) return GrammarRefusal{"", fault->reason};
  return json_schema(OrderedJson::parse(text));
}

CompiledGrammar GrammarCompiler::json_object() const {
  return compiled(vocabulary_, [&] {
    GrammarSource source;
    source.root = SchemaWriter(source, LeafSyntax::kJson, -1).any_object();
    return source;
  });
}

CompiledGrammar GrammarCompiler::regex(std::string_view pattern) const {
  return compiled(vocabulary_, [&] { return text_source(read_regex(pattern, RegexUse::kWhole)); });
}

CompiledGrammar GrammarCompiler::ebnf(std::string_view text) const {
  return compiled(vocabulary_, [&] { return read_ebnf(text, vocabulary_); });
}

CompiledGrammar GrammarCompiler::choice(const std::vector<std::string>& choices) const {
  return compiled(vocabulary_, [&] { return choice_source(choices); });
}

CompiledGrammar GrammarCompiler::tool_calls(const std::vector<ToolArguments>& tools, int min_calls,
                                            int max_calls) const {
  return compiled(vocabulary_, [&] {
    if (tools.empty()) throw GrammarRefused("there is no tool to call");
    if (min_calls < 0 || max_calls < std::max(min_calls, 1) || max_calls > kMaxCalls) {
      throw GrammarRefused("from 1 to " + std::to_string(kMaxCalls) + " calls are possible");
    }
    const auto token = [&](const char* text) {
      return static_cast<int32_t>(control_token(vocabulary_, text));
    };
    GrammarSource source;
    const uint32_t call = source.add_rule("call");
    SchemaWriter writer(source, LeafSyntax::kGemmaCall, token("<|\"|>"));
    RuleGraph graph;
    const uint32_t head = graph.add_state(), end = graph.add_state(), done = graph.add_state();
    graph.set_final(done);
    graph.add_token(RuleGraph::kStart, token("<|tool_call>"), head);
    for (size_t i = 0; i < tools.size(); ++i) {
      const std::string path = "/" + std::to_string(i);
      if (!has_tool_name_chars(tools[i].name))
        throw SchemaRefused(path + "/name", "no name of a tool");
      SchemaReader reader(tools[i].parameters);
      try {
        const uint32_t arguments = writer.write_root(reader, tools[i].parameters, true);
        graph.add_call(graph.add_literal(head, "call:" + tools[i].name), arguments, end);
      } catch (const SchemaRefused& refused) {
        throw SchemaRefused(path + "/parameters" + refused.path(), refused.what());
      }
    }
    graph.add_token(end, token("<tool_call|>"), done);
    source.graph(call) = std::move(graph);
    source.root = source.add_rule("root");
    RuleGraph calls;
    uint32_t at = RuleGraph::kStart;
    for (int i = 0; i <= max_calls; ++i) {
      if (i >= min_calls) calls.set_final(at);
      if (i == max_calls) break;
      const uint32_t next = calls.add_state();
      calls.add_call(at, call, next);
      at = next;
    }
    source.graph(source.root) = std::move(calls);
    return source;
  });
}

}  // namespace lapidary
