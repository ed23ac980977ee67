#include "engine/grammar/text_sources.h"

#include "engine/grammar/text_writer.h"

namespace lapidary {

GrammarSource text_source(const TextAutomaton& text) {
  GrammarSource source;
  source.root = source.add_rule("root");
  RuleGraph& graph = source.graph(source.root);
  const uint32_t end = graph.add_state();
  graph.set_final(end);
  TextWriter(graph).add_text(RuleGraph::kStart, text, end);
  return source;
}

GrammarSource choice_source(const std::vector<std::string>& choices) {
  if (choices.empty()) throw GrammarRefused("there is nothing to choose from");
  return text_source(TextAutomaton::of_words(choices));
}

}  // namespace lapidary
