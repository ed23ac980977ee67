#include "server/api/constraints.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "server/api/api_error.h"

namespace lapidary {
namespace {

using Kind = StructuredOutput::Kind;

constexpr size_t kMaxPathBytes = 256;  // a path may hold any key of the client's

// A JSON pointer as the paths of fields are written: "/anyOf/0/a" behind "x" is "x.anyOf[0].a".
std::string field_path(std::string path, std::string_view pointer) {
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const size_t end = std::min(pointer.find('/'), pointer.size());
    std::string key(pointer.substr(0, end));
    pointer.remove_prefix(end);
    for (const auto& [from, to] : {std::pair{"~1", "/"}, {"~0", "~"}}) {
      for (size_t at = key.find(from); at != std::string::npos; at = key.find(from, at + 1)) {
        key.replace(at, 2, to);
      }
    }
    const bool is_index = !key.empty() && key.find_first_not_of("0123456789") == std::string::npos;
    path += is_index ? "[" + key + "]" : "." + key;
  }
  return path.substr(0, kMaxPathBytes);
}

[[noreturn]] void refuse(const GrammarRefusal& refusal, const std::string& path, bool is_schema) {
  std::string reason = refusal.reason + ".";
  if (is_schema) throw api_error::invalid_schema(field_path(path, refusal.path), reason);
  throw api_error::invalid_value(path, reason);
}

std::shared_ptr<const Grammar> output_grammar(const StructuredOutput& output,
                                              GrammarCache& grammars) {
  GrammarCache::Answer made;
  switch (output.kind) {
    case Kind::kNone:
      return nullptr;
    case Kind::kSchema:
      made = grammars.json_schema(output.schema);
      break;
    case Kind::kObject:
      made = grammars.json_object();
      break;
    case Kind::kRegex:
      made = grammars.regex(output.text);
      break;
    case Kind::kGrammar:
      made = grammars.ebnf(output.text);
      break;
    case Kind::kChoice:
      made = grammars.choice(output.choices);
      break;
  }
  if (!made) throw api_error::overloaded();
  if (const auto* refusal = std::get_if<GrammarRefusal>(&*made)) {
    refuse(*refusal, output.path, output.kind == Kind::kSchema);
  }
  return std::get<std::shared_ptr<const Grammar>>(*std::move(made));
}

// A refusal of several tools begins with the number of the one.
[[noreturn]] void refuse_tool(const GrammarRefusal& refusal, const ToolRequest& tools) {
  const std::string_view path = refusal.path;
  size_t index = tools.callable.size();
  if (!path.empty()) std::from_chars(path.data() + 1, path.data() + path.size(), index);
  if (index >= tools.callable.size()) {
    throw api_error::invalid_schema(tools.is_legacy ? "functions" : "tools", refusal.reason + ".");
  }
  const size_t rest = std::min(path.find('/', 1), path.size());
  refuse({std::string(path.substr(rest)), refusal.reason}, tools.callable_paths[index], true);
}

std::shared_ptr<const Grammar> call_grammar(const ToolRequest& tools, GrammarCache& grammars) {
  if (tools.callable.empty()) return nullptr;
  GrammarCache::Answer made = grammars.tool_calls(tools.callable, 1, tools.max_calls);
  if (!made) throw api_error::overloaded();
  if (const auto* refusal = std::get_if<GrammarRefusal>(&*made)) refuse_tool(*refusal, tools);
  return std::get<std::shared_ptr<const Grammar>>(*std::move(made));
}

// Calls of functions that nothing else is said of, beside an answer of a given form: the form must
// not keep the model from calling.
ToolRequest with_free_calls(ToolRequest tools) {
  if (!tools.callable.empty()) return tools;
  for (const ToolDeclaration& tool : tools.tools) {
    tools.callable.push_back({tool.name, OrderedJson::object()});
    tools.callable_paths.emplace_back("tools");
  }
  if (tools.is_legacy || !tools.is_parallel) tools.max_calls = 1;
  return tools;
}

void add_thoughts(const ThoughtRoom& room, const Service& service, AnswerRules& rules) {
  if (!room.has_thoughts) return;
  rules.thought_open = service.dialect.channel_open;
  rules.thought_close = service.dialect.channel_close;
  rules.starts_in_thought = room.starts_in_thought;
  rules.may_think = room.may_think;
  if (!room.budget) return;
  // The label of the channel is no thought; a prompt that ends in one has written it.
  const size_t label = room.starts_in_thought ? 0 : service.tokenizer.encode("thought\n").size();
  rules.thought_budget = *room.budget + static_cast<int>(label);
  rules.thought_ending = service.tokenizer.encode("\n");
  rules.thought_ending.push_back(service.dialect.channel_close);
}

}  // namespace

std::shared_ptr<const AnswerRules> answer_rules(const StructuredOutput& output,
                                                const ToolRequest& tools, const ThoughtRoom& room,
                                                bool ignore_eos, const Service& service) {
  AnswerRules rules;
  rules.answer = output_grammar(output, service.grammars);  // one that cannot be had is told anyway
  if (tools.must_call) {
    rules.answer = call_grammar(tools, service.grammars);
  } else {
    rules.calls = call_grammar(rules.answer ? with_free_calls(tools) : tools, service.grammars);
  }
  if (!rules.answer && !rules.calls && !room.budget) return nullptr;
  rules.call_open = service.dialect.call_open;
  rules.avoids_end = ignore_eos;
  add_thoughts(room, service, rules);
  return std::make_shared<const AnswerRules>(std::move(rules));
}

}  // namespace lapidary
