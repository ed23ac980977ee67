// The two small grammars: a text that matches a regular expression, and one of several texts.
// Any thread. Refuses, with GrammarRefused, what their parts refuse.
#pragma once

#include <string>
#include <vector>

#include "engine/grammar/regex_reader.h"
#include "engine/grammar/rule_graph.h"

namespace lapidary {

GrammarSource text_source(const TextAutomaton& text);
GrammarSource choice_source(const std::vector<std::string>& choices);

}  // namespace lapidary
